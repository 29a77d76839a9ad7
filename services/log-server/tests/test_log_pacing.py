"""Who gets large chunks: who has taken much, and at once."""

from contract.messages.log import MAX_CHUNK_BYTES
from log_server.domain.pacing import STALLED_S, TRUSTED_BYTES, Pace

CAREFUL = 128 * 1024


def test_a_reader_is_trusted_after_more_than_buffers_hold() -> None:
    pace = Pace(CAREFUL)
    pace.took(TRUSTED_BYTES - 1, STALLED_S)
    assert (pace.chunk_bytes, pace.is_trusted) == (CAREFUL, False)
    pace.took(1, 0.0)
    assert (pace.chunk_bytes, pace.is_trusted) == (MAX_CHUNK_BYTES, True)


def test_a_reader_who_stalls_begins_anew() -> None:
    pace = Pace(CAREFUL)
    pace.took(2 * TRUSTED_BYTES, 0.0)
    pace.took(1, STALLED_S + 0.01)
    assert (pace.chunk_bytes, pace.is_trusted) == (CAREFUL, False)
