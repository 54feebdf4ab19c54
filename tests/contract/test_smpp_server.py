"""The SMPP server for customers on real stores: binds, submits, limits, statuses, drain."""

import asyncio
import re
import ssl
import struct
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import decode, encode
from adapters.smpp.wire.framer import Frame
from adapters.smpp.wire.pdus import (
    BindTransceiver,
    CancelSm,
    DataSm,
    DistributionList,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    Tlv,
)
from adapters.smpp.wire.times import format_absolute
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.message import MessageClass, Source
from gateway.ports.intake_store import StoreUnavailableError
from gateway.settings import SmppServerTlsSettings
from gateway.smppd.origin import read_origin
from gateway.store.smpp_credentials import CredentialDraft
from tests.support.esme import NUMBER, Esme, a_submit, an_esme
from tests.support.postgres import until
from tests.support.smppd import ServerRig, a_database, a_shared_rig, add_credential

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres_server):
    async with a_shared_rig(postgres_server) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def rig(shared):
    await shared.begin()
    return shared


@pytest_asyncio.fixture(loop_scope="module")
async def db(postgres_server):
    async with a_database(postgres_server) as database:
        yield database


async def test_an_accepted_submit_is_a_durable_message_with_its_origin(rig):
    async with an_esme(rig.port) as esme:
        answer = await esme.submit("hola", service_type="otp")
        assert answer.command_status == 0
        # Letters and digits only: a low line is another character in the GSM alphabet (A4).
        assert re.fullmatch(r"[0-9a-z]{26}", answer.message_id)
        (message,) = await rig.accepted()
        assert (message.recipient, message.sender, message.text) == (NUMBER, "ACME", "hola")
        assert (message.source, message.message_class) == (Source.SMPP, MessageClass.OTP)
        origin = read_origin(message.origin)
        assert (origin.system_id, origin.registered_delivery) == ("acme", 1)
        assert (origin.source, origin.destination) == ((5, 0, "ACME"), (1, 1, NUMBER))
        assert (
            rig.sample("messages_accepted_total", channel="sms", source="smpp_server", **{"class": "otp"})
            == 1
        )
        assert rig.sample("smpp_server_submits_total", status="ESME_ROK") == 1


def a_certificate(folder):
    """Return (certificate, key) of localhost, signed by itself."""
    certificate, key = folder / "server.pem", folder / "server.key"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -days 2 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key


async def insert_row(rig, message, *, state):
    """Write the row of a message, as the recorder would."""
    async with rig.db.acquire() as connection:
        columns = {
            row["column_name"]
            for row in await connection.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'messages'"
            )
        }
        assert {"state", "final_at"} <= columns
        await connection.execute(
            """
            INSERT INTO messages (id, account_id, message_class, channel, source, recipient, sender, text, encoding,
                segment_count, accepted_at, valid_until, first_state, first_carrier, route_reason, state, state_rank,
                partial, attempt, final_at, error)
            VALUES ($1, $2, 'otp', 'sms', 'smpp_server', $3, $4, 'x', 'gsm7', 1, $5, $5, 'queued', 'c', '', $6, 9,
                false, 1, $5, '')
            """,
            message.id,
            message.account_id,
            message.recipient,
            message.sender,
            message.accepted_at,
            state,
        )


def concatenated(text: bytes, *, total: int, sequence: int, reference: int = 7) -> bytes:
    return bytes((5, 0, 3, reference, total, sequence)) + text


REFUSED = {
    "a destination that is no number": ({"destination_addr": "12345"}, c.ESME_RINVDSTADR),
    "no destination": ({"destination_addr": ""}, c.ESME_RINVDSTADR),
    "no sender": ({"source_addr": ""}, c.ESME_RINVSRCADR),
    "a sender of twelve letters": ({"source_addr": "ABCDEFGHIJKL"}, c.ESME_RINVSRCADR),
    "no text": ({"short_message": b""}, c.ESME_RINVMSGLEN),
    "E3: a schedule of fifteen digits": ({"schedule_delivery_time": "26011518300002-"}, c.ESME_RINVSCHED),
    "E3: a validity with month 13": ({"validity_period": "261301000000000+"}, c.ESME_RINVEXPIRY),
    "E3: an offset of 49 quarters": ({"validity_period": "260101000000049+"}, c.ESME_RINVEXPIRY),
    "E3: a validity in the past": ({"validity_period": "200101000000000+"}, c.ESME_RINVEXPIRY),
    "E3: a schedule a year ahead": ({"schedule_delivery_time": "010000000000000R"}, c.ESME_RINVSCHED),
    "E8: priority 4": ({"priority_flag": 4}, c.ESME_RINVPRTFLG),
    "E6: an acknowledgement of a handset": ({"esm_class": 0x08}, c.ESME_RINVESMCLASS),
    "E9: replace_if_present": ({"replace_if_present_flag": 1}, c.ESME_RINVREPFLAG),
    "a canned message": ({"sm_default_msg_id": 3}, c.ESME_RINVDFTMSGID),
    "binary": ({"data_coding": 4}, c.ESME_RINVDCS),
    "an application port": (
        {"esm_class": 0x40, "short_message": bytes.fromhex("06050415810000") + b"x"},
        c.ESME_RINVESMCLASS,
    ),
    "I8: a header that lies": ({"esm_class": 0x40, "short_message": b"\xffabc"}, c.ESME_RINVESMCLASS),
    "B20: text and payload": ({"tlvs": (Tlv(c.TAG_MESSAGE_PAYLOAD, b"x"),)}, c.ESME_RINVMSGLEN),
    "B15: more segments than the account has": (
        {"short_message": b"", "tlvs": (Tlv(c.TAG_MESSAGE_PAYLOAD, b"x" * 1600),)},
        c.ESME_RINVMSGLEN,
    ),
    "half of the SAR parameters": (
        {"tlvs": (Tlv(c.TAG_SAR_TOTAL_SEGMENTS, b"\x02"),)},
        c.ESME_RMISSINGOPTPARAM,
    ),
}


async def test_e3_e6_e8_e9_what_cannot_be_taken_has_its_own_status(rig):
    """B15, B20, D1, D5, E3, E6, E8, E9, I8."""
    async with an_esme(rig.port) as esme:
        statuses = {
            name: (await esme.submit(**fields)).command_status for name, (fields, _) in REFUSED.items()
        }
        assert statuses == {name: status for name, (_, status) in REFUSED.items()}
        assert (await esme.submit()).command_status == 0
        assert len(await rig.accepted()) == 1


TAKEN = {
    "A1": ({"short_message": b"\x00 \x1b\x65"}, "@ €"),
    "B12": ({"short_message": "Código 👍".encode("utf-16-be"), "data_coding": 8}, "Código 👍"),
    "B25": ({"short_message": "Código".encode("latin-1"), "data_coding": 3}, "Código"),
    "A12": ({"short_message": b"@ $", "data_coding": 1}, "@ $"),
    "E7": ({"short_message": b"flash", "data_coding": 0xF0}, "flash"),
    "B24": ({"short_message": bytes.fromhex("03240102") + b"\x1b\x61", "esm_class": 0x40}, "á"),
    "B19": ({"short_message": b"", "tlvs": (Tlv(c.TAG_MESSAGE_PAYLOAD, b"x" * 400),)}, "x" * 400),
    "E10": ({"tlvs": (Tlv(0x1400, b""), Tlv(0x3FFF, b"abc"))}, "hola"),
    "I9": ({"short_message": b"\x00\x41\xd8\x3d\x00", "data_coding": 8}, "A\ufffd"),
    "one part of one": (
        {"short_message": concatenated(b"sola", total=1, sequence=1), "esm_class": 0x40},
        "sola",
    ),
}


async def test_a1_b12_b19_b24_b25_every_alphabet_is_read_as_itself(rig):
    """A1, A12, B12, B19, B24, B25, E7, E10, I9."""
    async with an_esme(rig.port) as esme:
        for name, (fields, _) in TAKEN.items():
            assert (await esme.submit(**fields)).command_status == 0, name
        assert [message.text for message in await rig.accepted()] == [text for _, text in TAKEN.values()]


async def test_a13_data_coding_0_is_the_alphabet_of_the_customer(rig):
    await add_credential(rig.db, "latin", alphabet=TextAlphabet.LATIN1)
    async with an_esme(rig.port, system_id="latin") as esme:
        await esme.submit("Año".encode("latin-1"))
        assert (await rig.accepted())[0].text == "Año"


async def test_d2_d6_a_destination_without_plus_is_international(rig):
    async with an_esme(rig.port) as esme:
        for ton, address in ((1, NUMBER), (0, NUMBER), (2, NUMBER), (1, "5215512345678"), (1, "+" + NUMBER)):
            assert (await esme.submit(dest_addr_ton=ton, destination_addr=address)).command_status == 0
        assert {message.recipient for message in await rig.accepted()} == {NUMBER}


async def test_d10_national_digits_are_those_of_the_accounts_region(rig):
    await add_credential(rig.db, "mexican")
    async with rig.db.acquire() as connection:
        await connection.execute("UPDATE accounts SET default_region = 'MX' WHERE id = 'mexican'")
    async with an_esme(rig.port, system_id="mexican") as esme:
        for ton, address in ((2, "5512345678"), (0, "5512345678"), (1, NUMBER), (0, NUMBER)):
            assert (await esme.submit(dest_addr_ton=ton, destination_addr=address)).command_status == 0
        assert {message.recipient for message in await rig.accepted()} == {NUMBER}


async def test_e1_e2_e4_validity_and_schedule_are_those_of_the_message(rig):
    async with an_esme(rig.port) as esme:
        await esme.submit(validity_period="000000000500000R")
        later = datetime.now(UTC) + timedelta(hours=2)
        await esme.submit(schedule_delivery_time=format_absolute(later, offset_minutes=-360))
        await esme.submit(validity_period="000030000000000R")
        five_minutes, scheduled, long = await rig.accepted()
        assert abs(five_minutes.valid_until - five_minutes.accepted_at - 300_000) <= 2
        assert abs(scheduled.send_at - later.timestamp() * 1000) <= 101
        assert (
            abs(long.valid_until - long.accepted_at - 72 * 3_600_000) <= 2
        )  # a month is cut to what we keep


async def test_h13_wrong_password_unknown_name_and_disabled_are_answered_alike(rig):
    await add_credential(rig.db, "off")
    await rig.credentials.change(CredentialDraft("off", "off"), enabled=False)
    loop = asyncio.get_running_loop()
    took = {}
    for name, password in (("acme", "wrong"), ("nobody", "secret"), ("off", "secret")):
        esme = Esme()
        await esme.connect(rig.port)
        started = loop.time()
        assert await esme.bind(name, password) == c.ESME_RINVPASWD
        took[name] = loop.time() - started
        await esme.until(lambda esme=esme: esme.closed)
    assert all(0.045 <= one < 5 for one in took.values()), took
    assert rig.sample("smpp_server_binds_total", result="credentials") == 3


async def test_h13_a_password_of_more_than_eight_octets_is_refused_on_the_wire(rig):
    esme = Esme()
    await esme.connect(rig.port)
    body = b"acme\0ninechars\0\0\x34\0\0\0"
    esme.transport._transport.write(struct.pack(">IIII", 16 + len(body), c.BIND_TRANSCEIVER, 0, 1) + body)
    esme.transport.connection._bind_sequence, esme.transport.connection._bind_answer_id = 1, 0x80000009
    await esme.until(lambda: esme.bind_status is not None)
    assert esme.bind_status == c.ESME_RINVPASWD
    with pytest.raises(ValueError, match="1 to 8"):
        await rig.credentials.create(CredentialDraft("long", "long"), password="ninechars", now_ms=1)
    esme.transport.abort()


async def test_h13_an_address_has_ten_guesses_a_minute_and_others_go_on(rig):
    for _ in range(12):
        esme = Esme()
        await esme.connect(rig.port)
        assert await esme.bind("acme", "wrong") == c.ESME_RINVPASWD
        esme.transport.abort()
    esme = Esme()
    await esme.connect(rig.port)
    assert await esme.bind("acme", "secret") == c.ESME_RINVPASWD  # even the right one, from here
    await add_credential(rig.db, "neighbour")
    async with an_esme(rig.port, system_id="neighbour"):
        pass
    assert rig.sample("smpp_server_binds_total", result="too_many_failures") == 3
    esme.transport.abort()


async def test_h13_binds_of_one_system_id_are_limited_and_counted_down(rig):
    await add_credential(rig.db, "two", max_binds=2)
    async with an_esme(rig.port, system_id="two") as first, an_esme(rig.port, system_id="two", mode="rx"):
        third = Esme()
        await third.connect(rig.port)
        assert await third.bind("two") == c.ESME_RBINDFAIL
        assert rig.sample("smpp_server_sessions", state="bound_trx") == 1
        await first.leave()
        async with an_esme(rig.port, system_id="two", mode="tx"):
            assert rig.sample("smpp_server_sessions", state="bound_tx") == 1


async def test_h13_only_the_networks_of_the_credential_may_bind(rig):
    await add_credential(rig.db, "far", allowed_networks=("10.0.0.0/8", "2001:db8::/32"))
    await add_credential(rig.db, "near", allowed_networks=("10.0.0.0/8", "127.0.0.0/8"))
    esme = Esme()
    await esme.connect(rig.port)
    assert await esme.bind("far") == c.ESME_RINVPASWD
    assert rig.sample("smpp_server_binds_total", result="network") == 1
    async with an_esme(rig.port, system_id="near"):
        pass


async def test_h13_submits_beyond_the_window_are_throttled_and_those_within_are_taken(rig):
    await add_credential(rig.db, "narrow", window=5)
    async with an_esme(rig.port, system_id="narrow") as esme:
        esme.flood(a_submit(), 20)
        await esme.until(lambda: esme.open == 0)
        assert (esme.statuses.count(0), esme.statuses.count(c.ESME_RTHROTTLED)) == (5, 15)
        esme.flood(a_submit(), 5)
        await esme.until(lambda: esme.open == 0)
        assert esme.statuses.count(0) == 10


async def test_h13_more_than_the_credentials_rate_is_throttled(rig):
    await add_credential(rig.db, "slow", messages_per_second=10)
    async with an_esme(rig.port, system_id="slow") as esme:
        esme.flood(a_submit(), 30)
        await esme.until(lambda: esme.open == 0)
        assert 10 <= esme.statuses.count(0) <= 12
        assert set(esme.statuses) == {0, c.ESME_RTHROTTLED}


async def test_g1_more_than_the_accounts_rate_is_throttled_too(rig):
    async with rig.db.acquire() as connection:
        await connection.execute("UPDATE accounts SET messages_per_second = 7 WHERE id = 'acme'")
    async with an_esme(rig.port) as esme:
        esme.flood(a_submit(), 20)
        await esme.until(lambda: esme.open == 0)
        assert 7 <= esme.statuses.count(0) <= 8


async def test_h13_a_credential_that_is_disabled_or_deleted_loses_its_sessions(rig):
    await add_credential(rig.db, "gone")
    async with an_esme(rig.port) as esme, an_esme(rig.port, system_id="gone") as other:
        await rig.credentials.change(CredentialDraft("acme", "acme"), enabled=False)
        await esme.until(lambda: esme.closed)
        await rig.credentials.delete("gone")
        await other.until(lambda: other.closed)
        assert (esme.closed, other.closed) == ("peer_unbound", "peer_unbound")


async def test_h13_with_tls_a_client_needs_it(db, tmp_path):
    certificate, key = a_certificate(tmp_path)
    context = SmppServerTlsSettings(enabled=True, certificate_file=certificate, key_file=key).server_context()
    async with ServerRig(db, tls=context).running() as rig:
        esme = Esme()
        await esme.connect(rig.port, tls=ssl.create_default_context(cafile=certificate))
        assert await esme.bind() == 0
        assert (await esme.submit()).command_status == 0
        await esme.leave()
        plain = Esme()
        await plain.connect(rig.port)
        assert await plain.bind() == -1  # closed, not answered
        assert len(await rig.accepted()) == 1


async def test_h1_a_receiver_submits_nothing_and_a_second_bind_changes_nothing(rig):
    async with an_esme(rig.port, mode="rx") as receiver, an_esme(rig.port, mode="tx") as esme:
        for one, pdu, status in (
            (receiver, a_submit(), c.ESME_RINVBNDSTS),
            (esme, BindTransceiver(system_id="acme", password="secret"), c.ESME_RALYBND),
        ):
            one.transport._transport.write(encode(pdu, sequence_number=0x9000_0001))
            counters = one.transport.connection.counters
            seen = counters.unexpected_answers
            await until(lambda counters=counters, seen=seen: counters.unexpected_answers > seen)
            assert counters.unexpected_answers == seen + 1, status
        assert (await esme.submit()).command_status == 0


async def test_h12_a_connection_without_bind_is_closed(db):
    async with ServerRig(db, session_init_s=0.2).running() as rig:
        esme = Esme()
        await esme.connect(rig.port)
        await esme.until(lambda: esme.closed)
        assert rig.sample("smpp_server_sessions", state="open") == 0


async def test_h7_a_silent_session_is_probed(db):
    async with ServerRig(db, enquire_link_s=0.1).running() as rig, an_esme(rig.port) as esme:
        await asyncio.sleep(0.35)
        assert not esme.closed
        assert (await esme.submit()).command_status == 0


async def test_h10_a_stop_answers_what_is_open_and_unbinds(db):
    async with ServerRig(db).running() as rig, an_esme(rig.port, window=500) as esme:
        esme.flood(a_submit(), 500)
        await esme.until(lambda: esme.statuses)
        rig.server.stop()
        await esme.until(lambda: esme.closed)
        assert esme.closed == "peer_unbound"
        assert esme.open == 0
        assert set(esme.statuses) <= {0, c.ESME_RSYSERR}
        assert len(await rig.accepted()) == len(esme.ids)
        with pytest.raises(OSError):
            await Esme().connect(rig.port)


async def test_h11_an_unbind_is_answered_after_what_is_open(rig):
    async with an_esme(rig.port) as esme:
        esme.flood(a_submit(), 50)
        await esme.leave()
        assert (esme.closed, esme.statuses) == ("unbound", [0] * 50)


async def test_query_sm_tells_the_state_of_an_own_message_only(rig):
    await add_credential(rig.db, "other")
    async with an_esme(rig.port) as esme, an_esme(rig.port, system_id="other") as other:
        message_id = (await esme.submit()).message_id
        await insert_row(rig, await rig.message(message_id), state="delivered")
        answer = await esme.ask(QuerySm(message_id=message_id, source_addr="ACME"))
        assert answer.command_status == 0
        pdu = decode(Frame(c.QUERY_SM_RESP, 0, 1, answer.body))
        assert (pdu.message_id, pdu.message_state, len(pdu.final_date)) == (message_id, 2, 16)
        for spelled in (message_id.upper(), f"msg_{message_id}"):
            assert (await esme.ask(QuerySm(message_id=spelled))).command_status == 0
        wrong = QuerySm(message_id=message_id, source_addr="OTHER")
        assert (await esme.ask(wrong)).command_status == c.ESME_RQUERYFAIL
        assert (await esme.ask(QuerySm(message_id="x"))).command_status == c.ESME_RQUERYFAIL
        assert (await other.ask(QuerySm(message_id=message_id))).command_status == c.ESME_RQUERYFAIL


async def test_cancel_and_replace_are_refused_and_the_session_goes_on(rig):
    async with an_esme(rig.port) as esme:
        message_id = (await esme.submit()).message_id
        assert (await esme.ask(CancelSm(message_id=message_id))).command_status == c.ESME_RCANCELFAIL
        replace = ReplaceSm(message_id=message_id, short_message=b"x")
        assert (await esme.ask(replace)).command_status == c.ESME_RREPLACEFAIL
        assert (await esme.submit()).command_status == 0


async def test_data_sm_is_taken_as_a_submit(rig):
    async with an_esme(rig.port) as esme:
        payload = Tlv(c.TAG_MESSAGE_PAYLOAD, b"hola")
        answer = await esme.ask(DataSm(source_addr="12345", destination_addr=NUMBER, tlvs=(payload,)))
        assert answer.command_status == 0
        assert (await rig.message(answer.message_id)).text == "hola"


async def test_submit_multi_makes_one_message_for_each_destination(rig):
    async with an_esme(rig.port) as esme:
        good = (SmeAddress(1, 1, NUMBER), SmeAddress(1, 1, "56987654321"))
        bad = (SmeAddress(1, 1, "123"), DistributionList("friends"))
        multi = SubmitMulti(
            source_addr="12345", dest_address=good + bad, short_message=b"hola", registered_delivery=1
        )
        answer = await esme.ask(multi)
        pdu = decode(Frame(c.SUBMIT_MULTI_RESP, 0, 1, answer.body))
        assert {one.destination_addr: one.error_status_code for one in pdu.unsuccess_sme} == {
            "123": c.ESME_RINVDSTADR,
            "friends": c.ESME_RINVDLNAME,
        }
        messages = await rig.accepted()
        assert {message.recipient for message in messages} == {NUMBER, "56987654321"}
        assert {read_origin(message.origin).told_ids for message in messages} == {(pdu.message_id,)}
        none = await esme.ask(SubmitMulti(source_addr="12345", dest_address=bad, short_message=b"hola"))
        assert none.command_status == c.ESME_RINVDLNAME


async def test_a_database_that_is_away_gives_a_status_to_try_again(rig, monkeypatch):
    async with an_esme(rig.port) as esme:
        await esme.submit()

        async def fails(*_, **__):
            raise StoreUnavailableError("gone")

        monkeypatch.setattr(rig.bus, "append", fails)
        assert (await esme.submit()).command_status == c.ESME_RSYSERR
        monkeypatch.undo()
        assert (await esme.submit()).command_status == 0
