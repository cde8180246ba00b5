"""A process that a test started, and what may happen to it."""

import signal


class Child:
    """`child` is a subprocess.Popen, or None before the start."""

    child = None

    def running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """kill -9."""
        self.child.kill()
        self.child.wait()

    def pause(self):
        """It hangs, and keeps its connections."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)
