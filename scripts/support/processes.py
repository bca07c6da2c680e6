"""Small pieces that the measuring scripts share: free ports, owned processes, their CPU and memory."""

import os
import pathlib
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Owned:
    """A process started here, waited for until it listens, and ended here."""

    def __init__(self, name, command, port, folder):
        self.name = name
        self.port = port
        self.errors = pathlib.Path(folder, f"{name}.stderr")
        with open(self.errors, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        self._wait_until_listening()

    def _wait_until_listening(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.end()
        sys.exit(f"{self.name} did not start:\n{self.errors.read_text(errors='replace')}")

    def family(self):
        """This process and its children: nginx works in a child."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def pin(self, cpu):
        """Keeps all its threads on one processor."""
        for pid in self.family():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {cpu})

    def cpu_nanoseconds(self):
        """Time on a CPU, user and system, of all threads; the scheduler's own clock."""
        total = 0
        for pid in self.family():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def anonymous_bytes(self):
        return sum(memory_bytes(pid, "RssAnon") for pid in self.family())

    def resident_bytes(self):
        return sum(memory_bytes(pid, "VmRSS") for pid in self.family())

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def memory_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
