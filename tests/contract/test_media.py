"""Files of accounts: uploaded by HTTP, kept in PostgreSQL, known to intake, read by links, gone when they expire."""

import hashlib

import pytest

from gateway.ingress.app import Deps, build_app
from gateway.ingress.media import MAX_UPLOADS, MEDIA_ROUTE
from gateway.ports.media_store import MEDIA_KEPT_MS, MediaFacts
from gateway.store.media import KnownMediaCache, PostgresMedia
from gateway.store.pool import Database
from tests.support.asgi import AsgiAnswer, AsgiClient
from tests.support.intake import NOW_MS, Bench
from tests.support.records import FixedClock

pytestmark = pytest.mark.postgres

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
MIB = 1024 * 1024


class Office:
    """The application with a real media store; all else stays in memory."""

    def __init__(self, db: Database, *, max_octets: int = 20 * MIB) -> None:
        self.bench = Bench()
        self.media = PostgresMedia(db)
        self.app = build_app(
            Deps(
                intake=self.bench.intake,
                intake_metrics=self.bench.metrics,
                authenticator=self.bench.keys,
                views=self.bench.views,
                clock=self.bench.clock,
                registry=self.bench.registry.__class__(),
                cursor_secret=b"secret",
                media=self.media,
                max_media_octets=max_octets,
                new_id=self.bench.new_id,
            )
        )

    async def call(self, method: str, path: str, key: str = "good", **more) -> AsgiAnswer:
        client = AsgiClient(self.app, headers={"authorization": f"Bearer {key}"})
        return await client.request(method, path, **more)

    async def upload(self, octets=JPEG, kind="image/jpeg", query="?name=oferta.jpg", **more) -> AsgiAnswer:
        return await self.call(
            "POST", MEDIA_ROUTE + query, body=octets, headers={"content-type": kind}, **more
        )


@pytest.fixture
async def office(db: Database) -> Office:
    async with db.acquire() as connection:
        await connection.execute(
            "INSERT INTO accounts (id, created_at) VALUES ('acme', now()), ('other', now()), ('plain', now())"
        )
    return Office(db)


async def test_a_file_is_kept_shown_read_and_deleted(office: Office) -> None:
    answer = await office.upload()
    assert answer.status == 201, answer.body
    shown = answer.json
    assert answer.headers["location"] == f"{MEDIA_ROUTE}/{shown['id']}"
    assert shown["id"].startswith("med_")
    assert (shown["type"], shown["kind"], shown["name"]) == ("image/jpeg", "image", "oferta.jpg")
    assert (shown["size"], shown["sha256"]) == (len(JPEG), hashlib.sha256(JPEG).hexdigest())
    path = f"{MEDIA_ROUTE}/{shown['id']}"
    assert (await office.call("GET", path)).json == shown
    file = await office.media.read_media(shown["id"], now_ms=NOW_MS)
    assert file == ("image/jpeg", "oferta.jpg", JPEG)
    # Somebody else's file does not exist.
    assert (await office.call("GET", path, key="other")).status == 404
    assert (await office.call("DELETE", path, key="other")).status == 404
    assert (await office.call("DELETE", path, key="read-only")).status == 403
    assert (await office.call("DELETE", path)).status == 204
    assert (await office.call("GET", path)).status == 404
    assert await office.media.read_media(shown["id"], now_ms=NOW_MS) is None


async def test_a_form_with_one_file_is_the_same(office: Office) -> None:
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="file"; filename="C:\\fotos\\o.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + JPEG + b"\r\n--XX--\r\n"
    )
    answer = await office.upload(body, "multipart/form-data; boundary=XX", query="")
    assert answer.status == 201, answer.body
    assert (answer.json["name"], answer.json["size"]) == ("o.jpg", len(JPEG))
    broken = await office.upload(body[:-10], "multipart/form-data; boundary=XX", query="")
    assert (broken.status, broken.json["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("octets", "kind", "status", "code"),
    [
        (JPEG, "image/png", 422, "validation_failed"),
        (b"", "image/jpeg", 422, "validation_failed"),
        (b"MZ", "application/x-msdownload", 415, "unsupported_media_type"),
        (JPEG + b"x" * 5 * MIB, "image/jpeg", 413, "body_too_large"),
        (b"%PDF-" + b"x" * 16 * MIB, "application/pdf", 413, "body_too_large"),
    ],
    ids=["not_png", "empty", "type", "image_limit", "document_limit"],
)
async def test_what_is_no_file_of_ours_is_refused(office: Office, octets, kind, status, code) -> None:
    answer = await office.upload(octets, kind)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert "limit" in answer.json["detail"] or status != 413


async def test_the_files_of_an_account_have_a_limit_together(db: Database, office: Office) -> None:
    small = Office(db, max_octets=2 * len(JPEG))
    assert [(await small.upload()).status for _ in range(3)] == [201, 201, 409]
    assert (await small.upload(key="other")).status == 201


async def test_too_many_uploads_at_a_time_are_told_to_come_again(office: Office) -> None:
    (media,) = [
        route.endpoint.__self__ for route in office.app.routes if getattr(route, "path", "") == MEDIA_ROUTE
    ]
    media._uploads = MAX_UPLOADS
    answer = await office.upload()
    assert (answer.status, answer.json["code"]) == (503, "backpressure")
    assert answer.headers["retry-after"]
    media._uploads = 0
    assert (await office.upload()).status == 201
    assert media._uploads == 0


def facts(number: int, **changes) -> MediaFacts:
    base = MediaFacts(
        id=f"med_{'0' * 25}{number}",
        account_id="acme",
        content_type="image/jpeg",
        name="a.jpg",
        size=3,
        sha256="ab" * 32,
        created_at=NOW_MS,
        expires_at=NOW_MS + MEDIA_KEPT_MS,
    )
    return base._replace(**changes)


async def test_expired_files_are_nobodys_and_are_deleted(office: Office) -> None:
    media = office.media
    for number, expires_at in enumerate((NOW_MS + 1, NOW_MS + 2, NOW_MS + 3)):
        assert await media.add(facts(number, expires_at=expires_at), b"abc", max_octets=MIB)
    ids = [facts(number).id for number in range(3)]
    assert set(await media.among("acme", [*ids, "med_x"], now_ms=NOW_MS + 1)) == set(ids[1:])
    assert await media.among("other", ids, now_ms=NOW_MS) == {}
    assert await media.find("acme", ids[0], now_ms=NOW_MS + 1) is None
    assert await media.read_media(ids[0], now_ms=NOW_MS + 1) is None
    assert await media.purge(now_ms=NOW_MS + 2) == 2
    assert await media.purge(now_ms=NOW_MS + 2) == 0
    assert await media.find("acme", ids[2], now_ms=NOW_MS) is not None


async def test_a_file_is_known_for_a_minute_and_never_past_its_time(office: Office) -> None:
    clock = FixedClock(NOW_MS)
    cache = KnownMediaCache(office.media, clock=clock)
    one = facts(1, expires_at=NOW_MS + 90_000)
    await office.media.add(one, b"abc", max_octets=MIB)
    assert await cache.among("acme", [one.id]) == {one.id: one}
    assert await cache.among("other", [one.id]) == {}
    await office.media.remove("acme", one.id)
    assert set(await cache.among("acme", [one.id])) == {one.id}
    clock.ms += 60_001
    assert await cache.among("acme", [one.id]) == {}
    two = facts(2, expires_at=clock.ms + 10)
    await office.media.add(two, b"abc", max_octets=MIB)
    assert set(await cache.among("acme", [two.id])) == {two.id}
    clock.ms += 11
    assert await cache.among("acme", [two.id]) == {}
