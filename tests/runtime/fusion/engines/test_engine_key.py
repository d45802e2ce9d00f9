"""Each field of the key counts, has a name, and is the one a message speaks of."""

import msgspec
import pytest
from support.engine_samples import KEY, changed_key

from mgdn_edge.runtime.fusion.engines.engine_key import (
    FIELD_NAMES,
    TIMING_FIELDS,
    BuildOptions,
    EngineKey,
    key_differences,
    key_digest,
    timing_digest,
)

FIELDS = EngineKey.__struct_fields__


def test_every_field_has_a_name_of_its_own():
    assert tuple(FIELD_NAMES) == FIELDS
    assert len(set(FIELD_NAMES.values())) == len(FIELDS)


def test_every_option_belongs_to_the_key():
    assert set(BuildOptions.__struct_fields__) < set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_changes_the_digest_and_is_named_alone(field):
    other = changed_key(field)
    assert key_digest(other) != key_digest(KEY)
    (difference,) = key_differences(KEY, other)
    assert difference.field == field
    assert str(difference).startswith(f"{FIELD_NAMES[field]} (wanted ")
    assert difference.wanted != difference.found


@pytest.mark.parametrize("field", FIELDS)
def test_times_hold_for_a_device_and_its_software_only(field):
    assert (timing_digest(changed_key(field)) != timing_digest(KEY)) == (field in TIMING_FIELDS)


def test_equal_keys_do_not_differ():
    same = msgspec.json.decode(msgspec.json.encode(KEY), type=EngineKey)
    assert key_differences(KEY, same) == ()
    assert key_digest(same) == key_digest(KEY)


def test_values_are_shown_for_people():
    found = msgspec.structs.replace(KEY, tf32=True, plugin_sha256="", l4t="36.3.0")
    assert list(map(str, key_differences(KEY, found))) == [
        f"plugin digest (wanted {'b' * 12}, found none)",
        "L4T release (wanted 36.4.3, found 36.3.0)",
        "TF32 (wanted off, found on)",
    ]
