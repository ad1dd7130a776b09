#!/usr/bin/env python3
"""Carries out the steps of docker/Dockerfile without a Docker engine.

    sudo docker/check.py

Each stage gets a root folder made by debootstrap in place of its base image, and its COPY, RUN,
USER, WORKDIR, ENTRYPOINT, CMD and HEALTHCHECK lines are read from the Dockerfile and carried out
in there with chroot. Then server and camera run together in a network of their own.

What this cannot check: the base images themselves, the engine's build, compose.yaml's wiring,
volumes and published ports, dropped capabilities and read-only roots.

Needs root, debootstrap, Rust, and Node.js 20.19 or newer; some GB and minutes.
"""

import fcntl
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
WORK = TOP / "target" / "docker-check"
IGNORED = shutil.ignore_patterns(".git", "node_modules", "target", "__pycache__", "data", "dist")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
TOKEN = "a-token-for-the-check"


def say(*words):
    print("docker/check:", *words, flush=True)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, **options)


class Stage:
    """One stage of the Dockerfile and the root folder it is carried out in."""

    def __init__(self, base, name):
        self.base, self.name = base, name
        self.root = WORK / name
        self.workdir, self.user, self.environment = "/", "root", {}
        self.entrypoint, self.command, self.health = [], [], None

    def chroot(self, command, environment=None):
        """The command line that runs `command` inside as this stage would."""
        inside = {"PATH": self.path(), "HOME": "/root", **self.environment, **(environment or {})}
        words = [f"{name}={value}" for name, value in inside.items()]
        inner = f"cd {shlex.quote(self.workdir)} && exec \"$@\""
        # /proc as a container has it, in a mount namespace that ends with the command.
        outer = f"mount -t proc proc {self.root}/proc && exec \"$@\""
        return ["unshare", "--mount", "sh", "-c", outer, "sh",
                "chroot", f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i", *words,
                "/bin/sh", "-c", inner, "sh", *command]

    def path(self):
        usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return "/opt/tool/bin:" + usual if (self.root / "opt/tool").exists() else usual


def instructions():
    """The Dockerfile's lines as (instruction, rest), continued lines joined."""
    text = (TOP / "docker" / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, re.sub(r"^(--(interval|timeout|start-period|retries)=\S+\s+)+", "", rest.strip())


def debian():
    """A plain Debian 12, made once: what debian:bookworm-slim is, but for removed documentation."""
    root = WORK / "debian"
    if not (root / "etc/debian_version").exists():
        say("debootstrap into", root)
        run("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root,
            stdout=subprocess.DEVNULL)
    return root


def with_tools(stage):
    """Gives a root what the Node.js or Rust image has on top of Debian."""
    tool = stage.root / "opt/tool"
    if stage.base.startswith("node:"):
        node = pathlib.Path(shutil.which("node")).resolve()
        modules = pathlib.Path(shutil.which("npm")).resolve().parents[2]
        (tool / "bin").mkdir(parents=True)
        shutil.copy(node, tool / "bin/node")
        shutil.copytree(modules / "npm", tool / "lib/node_modules/npm")
        (tool / "bin/npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
    if stage.base.startswith("rust:"):
        # The slim image has gcc and libc6-dev, no C++ compiler, no make, no cmake.
        run(*stage.chroot(["sh", "-c", "apt-get update -qq && apt-get install -y -qq "
                           "--no-install-recommends gcc libc6-dev >/dev/null"]))
        sysroot = run("rustc", "--print", "sysroot", capture_output=True, text=True).stdout.strip()
        shutil.copytree(sysroot, tool, symlinks=True)
        # Crates that this machine has already are not fetched again.
        registry = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")) / "registry"
        if registry.exists():
            shutil.copytree(registry, stage.root / "root/.cargo/registry", symlinks=True)


def begin(base, name, stages):
    """A stage that inherits from the one it builds on."""
    stage = Stage(base, name)
    if base in stages:
        parent = stages[base]
        stage.workdir, stage.user, stage.health = parent.workdir, parent.user, parent.health
        stage.entrypoint, stage.command = parent.entrypoint, parent.command
        stage.environment = dict(parent.environment)
    return stage


def make_root(stage, stages):
    """A fresh root folder for the stage."""
    if stage.root.exists():
        shutil.rmtree(stage.root)
    source = stages[stage.base].root if stage.base in stages else debian()
    run("cp", "--archive", "--reflink=auto", source, stage.root)
    if stage.base not in stages:
        # Names and certificates as this machine knows them, for a company's own mirrors.
        for file in ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES):
            shutil.copy(file, stage.root / file[1:])
        with_tools(stage)


def copy(stage, stages, rest):
    words = rest.split()
    source = TOP
    if words[0].startswith("--from="):
        source = stages[words.pop(0)[len("--from="):]].root
    *names, to = words
    for name in names:
        origin = source / name.lstrip("/")
        target = stage.root / (pathlib.Path(stage.workdir) / to).as_posix().lstrip("/")
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=IGNORED if source == TOP else None, symlinks=True,
                            dirs_exist_ok=True)
        else:
            target = target / origin.name if to.endswith("/") else target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, target)


def stages_of_dockerfile(carry_out):
    """All stages by name, as the Dockerfile describes them; carried out if asked for."""
    stages, stage = {}, None
    for word, rest in instructions():
        if carry_out:
            say(word, rest)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = begin(base, name or "default", stages)
            # The last stage repeats another one: its root is never run.
            if carry_out and name:
                make_root(stage, stages)
            stages[stage.name] = stage
        elif word == "COPY" and carry_out:
            copy(stage, stages, rest)
        elif word == "RUN" and carry_out:
            trust = {"NODE_EXTRA_CA_CERTS": CERTIFICATES, "CARGO_HTTP_CAINFO": CERTIFICATES}
            run(*stage.chroot(["sh", "-c", rest], trust))
        elif word in ("COPY", "RUN"):
            pass
        elif word == "WORKDIR":
            stage.workdir = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = rest
        elif word == "ENV":
            name, _, value = rest.partition("=")
            stage.environment[name] = value
        elif word == "HEALTHCHECK":
            stage.health = None if rest == "NONE" else json.loads(rest.removeprefix("CMD "))
        elif word == "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        elif word == "CMD":
            stage.command = json.loads(rest)
        elif word not in ("VOLUME", "EXPOSE", "STOPSIGNAL"):
            sys.exit(f"docker/check: do not know what {word} does")
    return stages


def loopback_up():
    """Brings up `lo` in a fresh network namespace (SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, 0x8913, name))[1]
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def wait_for(what, seconds, test):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            sys.exit(f"docker/check: {what}: not within {seconds} s")
        time.sleep(0.2)
    say(what)


def try_out(stages):
    """Runs server and camera as their images would be run."""
    server, camera = stages["server"], stages["camera"]
    if stages["default"].entrypoint != server.entrypoint:
        sys.exit("docker/check: a build without --target does not make the server")
    secret = {"KINORA_TOKEN": TOKEN}
    refused = subprocess.run(server.chroot(server.entrypoint + server.command), capture_output=True, text=True)
    if refused.returncode == 0 or "token" not in refused.stderr:
        sys.exit(f"docker/check: without a token it should refuse to start: {refused}")
    say("without a token it refuses:", refused.stderr.strip().splitlines()[-1])
    process = subprocess.Popen(server.chroot(server.entrypoint + server.command, secret))
    try:
        healthy = lambda: subprocess.run(server.chroot(server.health), stderr=subprocess.DEVNULL).returncode == 0
        wait_for("the health check passes", 20, healthy)
        address = {"KINORA_SERVER": "http://127.0.0.1:8080", "SECONDS_LONG": "6"}
        run(*camera.chroot(camera.entrypoint + camera.command, {**secret, **address}))
        stream = run("curl", "--silent", "--fail", "-H", f"Authorization: Bearer {TOKEN}",
                     "http://127.0.0.1:8080/v1/streams/demo", capture_output=True, text=True).stdout
        count = json.loads(stream)["fragments"]["count"]
        say(f"the camera left {count} fragments")
        if count < 5:
            sys.exit("docker/check: too few fragments for six seconds")
        owners = {path.stat().st_uid for path in (server.root / "data").rglob("*")}
        if owners != {10001}:
            sys.exit(f"docker/check: /data holds files of users {owners}")
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(30)
    if status != 0:
        sys.exit(f"docker/check: the server ended with {status} on SIGTERM")
    if healthy():
        sys.exit("docker/check: the health check passes without a server")
    say("the server drained and ended; all steps work")


def main():
    if os.geteuid() != 0:
        sys.exit("docker/check: needs root, for chroot and debootstrap")
    if sys.argv[1:] == ["--try-out"]:
        loopback_up()
        try_out(stages_of_dockerfile(carry_out=False))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    stages_of_dockerfile(carry_out=True)
    # In a network of its own, so that port 8080 is free and nothing else is reached.
    run("unshare", "--net", sys.executable, __file__, "--try-out")


if __name__ == "__main__":
    main()
