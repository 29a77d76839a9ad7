"""What can keep a job from its end."""


class JobError(Exception):
    """The base of every error here; its text is for the user who started compose."""


class SilentError(JobError):
    """A container that the job needs did not answer in time: look at that one's log."""
