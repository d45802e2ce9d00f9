"""A GStreamer RTSP server for tests: two cameras to read, /fused to send to.

    python3 rtsp_server.py PORT RECORDING_FOLDER [basic|digest USER PASSWORD]

Run by the system's Python, which has PyGObject. /visible and /infrared move one bright ball with
one clock; what /fused is sent becomes RECORDING_FOLDER/STARTED_AT.ts. Prints "ready" when it
listens. With a user and a password, only that user may read and send.
"""

import sys
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

CAMERA = (
    "( videotestsrc is-live=true pattern=ball {extra} ! "
    "video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 )"
)
RECORDER = (
    "( rtph264depay name=depay0 ! h264parse ! mpegtsmux ! "
    "filesink sync=false buffer-mode=unbuffered location={file} )"
)


def ask_for_password(server, method, user, password):
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    if method == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)


def allow(factory, user):
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("access", "construct"):
        permissions.add_permission_for_role(user, f"media.factory.{what}", True)
    factory.set_permissions(permissions)


def serve(port, folder, *login):
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_service(str(port))
    if login:
        ask_for_password(server, *login)
    mounts = server.get_mount_points()
    for path, extra in (("/visible", ""), ("/infrared", "motion=wavy")):
        factory = GstRtspServer.RTSPMediaFactory.new()
        factory.set_launch(CAMERA.format(extra=extra))
        factory.set_shared(True)
        if login:
            allow(factory, login[1])
        mounts.add_factory(path, factory)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_launch(RECORDER.format(file=Path(folder) / f"{time.time_ns()}.ts"))
    if login:
        allow(factory, login[1])
    mounts.add_factory("/fused", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
