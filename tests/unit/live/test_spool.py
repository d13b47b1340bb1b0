"""A spool: one writes, many read, each at its own pace; it ends for all or fails for all."""

from __future__ import annotations

import threading

import pytest

from sseapp.errors import UnavailableError
from sseapp.events.ring import FRAME_SIZE
from sseapp.live.spool import CHUNK, Spool


@pytest.fixture
def spool():
    found = Spool(3, '"bound"')
    found.readers = 1
    yield found
    found.close()


def _whole(spool, timeout=5):
    data, is_last = b"", False
    while not is_last:
        chunk, is_last = spool.read(len(data), timeout)
        assert len(chunk) <= CHUNK
        data += chunk
    return data


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3 * FRAME_SIZE + 7], ids=str)
def test_all_that_was_written_is_read_by_each(spool, size):
    data = bytes(range(251)) * (size // 251 + 1)
    pieces = [data[at : min(at + 1000, size)] for at in range(0, size, 1000)]
    spool.fill(pieces)
    spool.end()
    assert _whole(spool) == _whole(spool) == data[:size]


def test_a_reader_waits_for_what_comes(spool):
    read = []
    reader = threading.Thread(target=lambda: read.append(_whole(spool)))
    reader.start()
    spool.fill([b"a", b"b"])
    assert spool.is_open
    spool.end()
    reader.join(5)
    assert read == [b"ab"]
    assert not spool.is_open


def test_a_reader_waits_no_longer_than_it_may(spool):
    assert spool.read(0, 0.001) == (b"", False)


def test_what_the_writer_fails_with_comes_behind_what_it_wrote(spool):
    spool.fill([b"a"])
    spool.end(UnavailableError("lost"))
    assert spool.read(0) == (b"a", False)
    with pytest.raises(UnavailableError, match="lost"):
        spool.read(1)
    assert not spool.is_open


def test_an_error_behind_the_end_is_nobodys(spool):
    spool.fill([b"a"])
    spool.end()
    spool.end(UnavailableError("lost"))
    assert spool.read(0) == (b"a", True)


def test_readers_at_the_same_place_share_their_bytes(spool):
    spool.fill([b"x" * FRAME_SIZE])
    spool.end()
    assert spool.read(CHUNK)[0] is spool.read(CHUNK)[0]


def test_without_readers_nothing_more_is_written():
    spool, written = Spool(), []

    def pieces():
        for piece in (b"a", b"b", b"c"):
            spool.readers = 1 if piece == b"a" else 0
            written.append(piece)
            yield piece

    assert not spool.fill(pieces())
    assert written == [b"a", b"b"]
    spool.close()
