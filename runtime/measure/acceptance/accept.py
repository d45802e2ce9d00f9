"""accept_bundle: every clause in order; what was measured is kept after each."""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, decode_graph_facts
from mgdn_edge.runtime.bundle.network_names import find_bundle
from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
from mgdn_edge.runtime.doctor.examine_machine import examine_machine
from mgdn_edge.runtime.errors import DeviceError, UserError, printable
from mgdn_edge.runtime.fusion.contract.backend_names import TENSORRT_BACKEND
from mgdn_edge.runtime.fusion.contract.opened_session import OpenedSession
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.acceptance.accept_request import (
    AcceptRequest,
    choose_backend,
)
from mgdn_edge.runtime.measure.acceptance.accept_result import (
    SCHEMA,
    AcceptReport,
    AcceptResult,
    Example,
    Soak,
    SubjectParity,
    judge,
)
from mgdn_edge.runtime.measure.acceptance.fidelity import (
    STEPS,
    describe_fidelity,
    measure_fidelity,
    open_reference,
)
from mgdn_edge.runtime.measure.acceptance.filter_library import check_operations, has_filter
from mgdn_edge.runtime.measure.acceptance.soak import (
    judge_latency,
    judge_memory,
    judge_throttling,
    run_soak,
)
from mgdn_edge.runtime.measure.acceptance.subjects import (
    BASE_SIZE,
    Subject,
    list_subjects,
    open_subject,
)
from mgdn_edge.runtime.measure.acceptance.timing import measure_timing
from mgdn_edge.runtime.measure.acceptance.verdict import (
    INTERRUPTED,
    Clause,
    ClauseFailed,
    ClauseState,
    NotMeasured,
)
from mgdn_edge.runtime.quality.precision_verdict import describe_verdict
from mgdn_edge.runtime.secrets.redaction import redact

SOAK = ("soak latency", "soak memory", "soak throttling")


def accept_bundle(
    request: AcceptRequest,
    keep: Callable[[AcceptResult], None],
    *,
    progress: Progress = SILENT,
) -> AcceptReport:
    """Measure every clause of ``request`` on this machine; the report says what came of each.

    ``keep`` gets what there is after every clause, ``progress`` a line for each. A clause that
    breaks does not end the others. Ctrl-C ends it: the report is then not complete. Nothing is kept
    where this raises: UserError for a bundle that cannot be read at all or a choice that does not
    fit, DeviceError where no backend is chosen and no GPU is.
    """
    backend = choose_backend(request.choice)
    path = find_bundle(request.bundle)
    with open_bundle(path) as bundle:
        return _Acceptance(bundle, path, request, backend, keep, progress).run()


class _Acceptance:
    """The clauses of one bundle on one backend, and what they have measured so far."""

    def __init__(
        self,
        bundle: Bundle,
        path: Path,
        request: AcceptRequest,
        backend: str,
        keep: Callable[[AcceptResult], None],
        progress: Progress,
    ) -> None:
        self.bundle, self.request, self.backend = bundle, request, backend
        self.choice = msgspec.structs.replace(request.choice, backend=backend)
        self.keep, self.progress = keep, progress
        self.facts: GraphFacts = decode_graph_facts(bundle.read_graph_facts())
        self.subjects = list_subjects(bundle.manifest, backend)
        self.example: Example | None = None
        self.soak_ns = np.zeros(0, np.int64)
        self.needs = self.plan()
        self.report = AcceptReport(
            schema=SCHEMA,
            verdict="",
            accepted=False,
            complete=False,
            network=bundle.manifest.name,
            bundle_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            backend=backend,
            host=platform.node(),
            made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            command=redact(request.command),
            clauses=(),
            findings=(),
            stated_quality=bundle.manifest.quality,
            stated_verdicts=tuple(
                f"{each.precision} for {each.backend}: {describe_verdict(each)}"
                for each in bundle.manifest.verdicts
            ),
            parity=(),
            fidelity=(),
            timings=(),
            soak=None,
            versions=installed_versions(),
        )

    def plan(self) -> dict[str, bool]:
        """Every clause by name in order, and whether acceptance needs it."""
        filters = (
            self.backend == TENSORRT_BACKEND
            and self.choice.filter != "body"
            and has_filter(self.facts)
        )
        now = read_conditions()
        throttling = bool(now.throttle_counts or now.gpus)  # needed where it can be seen
        names = {"machine": True, "plugin": filters}
        for subject in self.subjects:
            names |= {name: True for name in (self.opening(subject), *self.dependent(subject))}
        return names | {SOAK[0]: True, SOAK[1]: True, SOAK[2]: throttling}

    def opening(self, subject: Subject) -> str:
        """The name of the clause that opens a subject."""
        kind = "engine" if self.backend == TENSORRT_BACKEND else "session"
        return f"{kind} {subject.label}"

    def dependent(self, subject: Subject) -> list[str]:
        """Names of the clauses that need the opened subject, without the soak's."""
        quality = [f"quality {subject.precision}"] * (subject.size == BASE_SIZE)
        return [f"parity {subject.label}", f"latency {subject.label}", *quality]

    def run(self) -> AcceptReport:
        """Everything in order; Ctrl-C ends it with what there is."""
        complete = True
        self.update()  # where nothing can be kept, nothing need be measured
        try:
            self.measure("machine", self.examine)
            self.measure("plugin", lambda: check_operations(self.choice))
            for subject in self.subjects:
                self.accept(subject)
        except KeyboardInterrupt:
            complete = False
            for name in list(self.needs)[len(self.report.clauses) :]:
                self.add(name, "not measured", INTERRUPTED)
        self.update(complete=complete)
        return self.report

    def examine(self) -> str:
        """The doctor's findings; ClauseFailed where one blocks."""
        findings = examine_machine().findings
        self.report = msgspec.structs.replace(self.report, findings=findings)
        for finding in findings:
            if finding.state == "blocks":
                raise ClauseFailed(f"{finding.name}: {finding.found}; fix: {finding.fix}")
        warnings = [finding.name for finding in findings if finding.state == "warning"]
        text = f"{len(warnings)} to look at ({', '.join(warnings)})" if warnings else "all well"
        return f"{len(findings)} findings of mgdn doctor, {text}"

    def accept(self, subject: Subject) -> None:
        """All clauses of one subject; the last one's session also has the soak."""
        is_last = subject is self.subjects[-1]
        opened = self.open(subject)
        if opened is None:
            for name in (*self.dependent(subject), *(SOAK if is_last else ())):
                self.add(name, "not measured", f"needs {self.opening(subject)}")
            return
        try:
            with opened.session as session:
                works = [
                    lambda: self.judge_parity(subject, opened),
                    lambda: self.time(subject, session),
                    lambda: self.compare(session),
                ]
                for name, work in zip(self.dependent(subject), works, strict=False):
                    self.measure(name, work)
                if is_last:
                    self.soak(subject, session)
        except DeviceError as error:  # of closing: all its clauses are there
            self.progress.tell(f"    closing {subject.label}: {error}")

    def open(self, subject: Subject) -> OpenedSession | None:
        """The opened subject; None where that failed, which its clause says."""
        opened: list[OpenedSession] = []

        def work() -> str:
            opened.append(open_subject(self.bundle, subject, self.choice, self.progress))
            return opened[0].description

        self.measure(self.opening(subject), work)
        return opened[0] if opened else None

    def judge_parity(self, subject: Subject, opened: OpenedSession) -> str:
        """The figures; ClauseFailed beyond the bundle's tolerance."""
        parity = opened.parity
        row = SubjectParity(
            precision=subject.precision,
            size=subject.size_text,
            variant=subject.variant_text,
            filter_implementation=opened.session.filter_implementation,
            reference=opened.reference,
            parity=parity,
        )
        self.update(parity=(*self.report.parity, row))
        decibels = "equal" if math.isinf(parity.psnr) else f"{parity.psnr:.1f} dB"
        text = (
            f"up to {parity.max_error:.0f} levels off the {opened.reference}, "
            f"{parity.tolerance:.0f} allowed; {decibels}"
        )
        if not parity.passed:
            raise ClauseFailed(text)
        return text

    def time(self, subject: Subject, session: Session) -> str:
        """The figures; there is no limit to fail."""
        frames = self.request.frames
        self.progress.begin(f"latency {subject.label}", frames)
        timing = measure_timing(session, subject, frames, self.progress)
        self.update(timings=(*self.report.timings, timing))
        whole, alone = timing.with_copies, timing.without_copies
        return (
            f"p50 {whole.p50:.2f}, p95 {whole.p95:.2f}, p99 {whole.p99:.2f} ms with copies; "
            f"{alone.p50:.2f}, {alone.p95:.2f}, {alone.p99:.2f} without; n {whole.n}"
        )

    def compare(self, session: Session) -> str:
        """The figures beside float32 on the CPU; ClauseFailed where a limit is not kept."""
        reference, what = open_reference(self.bundle, self.facts, session)
        with reference:
            self.progress.begin(f"quality {session.precision}", STEPS)
            fidelity, example = measure_fidelity(session, reference, what, self.progress)
        self.example = example
        self.update(fidelity=(*self.report.fidelity, fidelity))
        if fidelity.refusals:
            raise ClauseFailed("; ".join(fidelity.refusals))
        return describe_fidelity(fidelity)

    def soak(self, subject: Subject, session: Session) -> None:
        """Frames without pause, then its three clauses."""
        seconds = self.request.soak_seconds
        soaks: list[Soak] = []

        def work() -> str:
            self.progress.begin("soak", float(seconds))
            soak, self.soak_ns = run_soak(session, subject, seconds, self.progress)
            soaks.append(soak)
            self.update(soak=soak)
            return judge_latency(soak)

        self.measure(SOAK[0], work)
        for name, judge_soak in (
            (SOAK[1], judge_memory),
            (SOAK[2], judge_throttling),
        ):
            if soaks:
                self.measure(name, partial(judge_soak, soaks[0]))
            else:
                self.add(name, "not measured", f"needs {SOAK[0]}")
        if soaks and not soaks[0].complete:
            raise KeyboardInterrupt

    def measure(self, name: str, work: Callable[[], str]) -> None:
        """Do ``work`` and add its clause, whatever comes of it; only Ctrl-C goes on up."""
        begin = time.monotonic()
        self.progress.tell(f"{len(self.report.clauses) + 1}/{len(self.needs)} {name}")
        state: ClauseState = "failed"
        device = False
        try:
            state, text = "passed", work()
        except ClauseFailed as error:
            state, text = "failed", str(error)
        except NotMeasured as error:
            state, text = "not measured", str(error)
        except ImportError as error:
            state, text = "not measured", f"{error}; see: mgdn doctor"
        except UserError as error:
            state, text, device = "failed", str(error), isinstance(error, DeviceError)
        except Exception as error:  # noqa: BLE001 - what breaks must not lose what was measured
            state, text = "failed", f"{type(error).__name__}: {error}"
        finally:
            self.progress.done()
        self.add(name, state, text, time.monotonic() - begin, device)

    def add(
        self, name: str, state: ClauseState, text: str, seconds: float = 0.0, device: bool = False
    ) -> None:
        """Add a clause and keep everything."""
        clause = Clause(name, state, printable(text), self.needs[name], seconds, device)
        self.progress.tell(f"    {state}: {clause.description}")
        self.update(clauses=(*self.report.clauses, clause))

    def update(self, **changes: object) -> None:
        """Change the report, judge it again and keep it."""
        self.report = judge(msgspec.structs.replace(self.report, **changes))
        self.keep(AcceptResult(self.report, self.example, self.soak_ns))
