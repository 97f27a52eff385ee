"""A user id without a name, as in a container of OpenShift: initdb refuses it, although the server does not.

In a user namespace of Linux, where this user id is that of `nobody`, initdb finds a name. Files keep their owner.
"""

import os
import pwd
import shutil
import subprocess

from .server import NoServerError


def before_initdb() -> list[str]:
    """The command that runs initdb, if this user id has no name; [] if it has one.

    Raises:
        NoServerError: the machine does not allow user namespaces.
    """
    uid = os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        pass
    else:
        return []
    if unshare := shutil.which("unshare"):
        named = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0), None)
        command = [unshare, "--user", f"--map-user={named}"]
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
        if named is not None and done.returncode == 0:
            return command
    raise NoServerError(
        f"user id {uid} has no name on this machine, and initdb needs one. Add the user to /etc/passwd: "
        f"echo 'runner:x:{uid}:0::/tmp:/bin/sh' >> /etc/passwd, as root when the image is built"
    )
