"""What becomes of a message for each of its recipients, whatever a server says, and when it says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from oauthmail.sending.delivery import Delivery
from oauthmail.sending.errors import JournalError, StoppedError
from oauthmail.sending.journal import Journal, open_journal
from oauthmail.sending.transaction import Outcome

from ..scripted import Certificates
from .conftest import make_letter
from .post_office import PostOffice, Replies, account, serving

ADA, BOB, EVE = "ada@x.test", "bob@x.test", "eve@x.test"


def send(
    office: PostOffice,
    certificates: Certificates,
    ca_file: str,
    *to: str,
    connections: int = 1,
    journal: Journal | None = None,
    waits: list[float] | None = None,
) -> Outcome:
    """Send one message and return what became of it."""
    letter = make_letter(*to)
    with serving(office, certificates, connections) as server:
        mailbox = account(server.port, ca_file)
        slept: list[float] = [] if waits is None else waits
        with Delivery(mailbox, journal or Journal(), sleep=slept.append) as delivery:
            return delivery.send(letter, letter.recipients)


# --- what the server says of recipients -------------------------------------------------------------------------------


def test_a_message_that_is_taken_is_accepted_for_all(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice()
    outcome = send(office, certificates, ca_file, ADA, BOB)
    assert outcome == Outcome(accepted=[ADA, BOB], reply="250 2.0.0 OK")
    assert [line.split(" SIZE=")[0].lower() for line in office.commands] == [
        "mail from:<me@sandbox.test>",
        "rcpt to:<ada@x.test>",
        "rcpt to:<bob@x.test>",
        "data",
        "quit",
    ]


def test_a_recipient_that_is_refused_does_not_hold_up_the_others(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({"RCPT": ["550 5.1.1 No such user", "250 OK", "450 4.2.1 Busy"]})
    assert send(office, certificates, ca_file, ADA, BOB, EVE) == Outcome(
        accepted=[BOB], refused={ADA: "550 5.1.1 No such user"}, deferred={EVE: "450 4.2.1 Busy"}, reply="250 2.0.0 OK"
    )


def test_nothing_is_sent_for_nobody(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({"RCPT": "550 5.1.1 No such user"})
    assert send(office, certificates, ca_file).refused == {ADA: "550 5.1.1 No such user"}
    assert (office.messages, "DATA" in office.commands) == ([], False)


def test_a_message_for_nobody_is_taken_back_before_the_next(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({"RCPT": ["550 5.1.1 No such user"]})
    with serving(office, certificates) as server, Delivery(account(server.port, ca_file), Journal()) as delivery:
        outcomes = [delivery.send(make_letter(text=text), [ADA]) for text in ("one", "two")]
    assert [each.accepted for each in outcomes] == [[], [ADA]]
    assert [line.split()[0].upper() for line in office.commands[:4]] == ["MAIL", "RCPT", "RSET", "MAIL"]


def test_recipients_that_were_too_many_at_once_follow_at_once(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({"RCPT": ["250 OK", "452 4.5.3 Too many recipients", "250 OK"]})
    outcome = send(office, certificates, ca_file, ADA, BOB)
    assert (outcome.accepted, outcome.deferred, len(office.messages)) == ([ADA, BOB], {}, 2)


@pytest.mark.parametrize(
    ("replies", "refused", "deferred"),
    [
        pytest.param({".": "554 5.7.1 Spam"}, {ADA: "554 5.7.1 Spam"}, {}, id="message refused"),
        pytest.param({".": "451 4.3.0 Later"}, {}, {ADA: "451 4.3.0 Later"}, id="message refused for now"),
        pytest.param({"DATA": "554 No"}, {ADA: "554 No"}, {}, id="DATA refused"),
        pytest.param({"MAIL": "552 5.3.4 Too big"}, {ADA: "552 5.3.4 Too big"}, {}, id="too large"),
    ],
)
def test_a_refused_message_is_refused_for_everybody(
    certificates: Certificates,
    ca_file: str,
    replies: dict[str, Replies],
    refused: dict[str, str],
    deferred: dict[str, str],
) -> None:
    outcome = send(PostOffice(replies), certificates, ca_file)
    assert (outcome.accepted, outcome.refused, outcome.deferred) == ([], refused, deferred)


def test_control_characters_of_a_server_are_shown_as_such(certificates: Certificates, ca_file: str) -> None:
    outcome = send(PostOffice({".": "554 \x1b[2J"}), certificates, ca_file)
    assert outcome.refused == {ADA: "554 \\x1b[2J"}


# --- what stops everything --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "temporary"),
    [
        pytest.param({"MAIL": "550 5.7.60 SendAsDenied"}, False, id="sender"),
        pytest.param({"MAIL": "450 4.7.1 Slow down"}, True, id="rate"),
        pytest.param({"RCPT": "550 5.4.5 Daily user sending limit exceeded."}, True, id="Gmail's limit"),
        pytest.param({"DATA": "550 5.4.5 Daily user sending limit exceeded."}, True, id="Gmail's limit at DATA"),
        pytest.param({".": "554 5.2.0 STOREDRV; SubmissionQuotaExceededException"}, True, id="Exchange's limit"),
    ],
)
def test_a_refusal_of_the_sender_ends_the_run(
    certificates: Certificates, ca_file: str, replies: dict[str, Replies], temporary: bool
) -> None:
    with pytest.raises(StoppedError, match="takes no more messages from this mailbox") as caught:
        send(PostOffice(replies), certificates, ca_file)
    assert caught.value.temporary == temporary


def test_what_the_limit_stopped_is_not_in_doubt(certificates: Certificates, ca_file: str) -> None:
    journal = Journal()
    office = PostOffice({".": "550 5.4.5 Daily user sending limit exceeded."})
    with pytest.raises(StoppedError):
        send(office, certificates, ca_file, journal=journal)
    assert journal.entry(make_letter().key).doubtful == set()


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param({"MAIL": [None]}, id="at MAIL"),
        pytest.param({"RCPT": [None]}, id="at RCPT"),
        pytest.param({"DATA": [None]}, id="at DATA"),
        pytest.param({"MAIL": ["421 4.7.0 Closing"]}, id="421"),
        pytest.param({"MAIL": ["530 5.7.0 Authentication required"]}, id="login ended"),
        pytest.param({"RCPT": ["535 5.7.8 Token expired"]}, id="token ended"),
    ],
)
def test_a_connection_that_is_lost_before_the_end_is_made_anew(
    certificates: Certificates, ca_file: str, replies: dict[str, Replies]
) -> None:
    office = PostOffice(replies)
    outcome = send(office, certificates, ca_file, connections=2)
    assert (outcome.accepted, len(office.messages), office.logins) == ([ADA], 1, 2)


def test_a_server_that_always_hangs_up_is_given_up(certificates: Certificates, ca_file: str) -> None:
    waits: list[float] = []
    with pytest.raises(OSError, match="Connection unexpectedly closed"):
        send(PostOffice({"MAIL": [None] * 3}), certificates, ca_file, connections=3, waits=waits)
    assert waits == [2.0]


def test_a_server_that_always_closes_has_the_last_word(certificates: Certificates, ca_file: str) -> None:
    with pytest.raises(StoppedError, match=r"421 4\.7\.0 Too many") as caught:
        send(PostOffice({"MAIL": "421 4.7.0 Too many messages"}), certificates, ca_file, connections=3)
    assert caught.value.temporary


def test_many_messages_take_one_connection(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice()
    with serving(office, certificates) as server, Delivery(account(server.port, ca_file), Journal()) as delivery:
        for number in range(3):
            delivery.send(make_letter(text=str(number)), [ADA])
    assert (office.logins, len(office.messages)) == (1, 3)


# --- doubt ------------------------------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_after_the_end_leaves_a_doubt(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({"RCPT": ["250 OK", "550 No"], ".": [None]})
    outcome = send(office, certificates, ca_file, ADA, BOB)
    assert (outcome.doubtful, outcome.accepted, outcome.refused) == ([ADA], [], {BOB: "550 No"})
    assert "lost before the server's answer" in outcome.reply


def test_a_doubt_is_in_the_journal(certificates: Certificates, ca_file: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        send(PostOffice({".": [None]}), certificates, ca_file, journal=journal)
    with open_journal(path) as journal:
        assert journal.entry(make_letter().key).doubtful == {ADA}


def test_the_next_message_goes_after_a_doubt(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice({".": [None]})
    with serving(office, certificates, 2) as server, Delivery(account(server.port, ca_file), Journal()) as delivery:
        outcomes = [delivery.send(make_letter(text=text), [ADA]) for text in ("one", "two")]
    assert [(each.doubtful, each.accepted) for each in outcomes] == [([ADA], []), ([], [ADA])]


class FullDisk(Journal):
    """Fails where a full disk does."""

    def sending(self, key: str, recipients: Iterable[str], message_id: str, name: str) -> None:
        raise JournalError("the disk is full")


def test_a_message_that_cannot_be_noted_is_not_sent(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice()
    with pytest.raises(JournalError):
        send(office, certificates, ca_file, journal=FullDisk())
    # Nor is QUIT said, which would be a line of it.
    assert (office.messages, office.cut_off) == ([], [b"It works."])


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_dots_at_the_beginning_of_lines_survive(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice()
    letter = make_letter(text=".\n..\nQUIT\n.x")
    with serving(office, certificates) as server, Delivery(account(server.port, ca_file), Journal()) as delivery:
        delivery.send(letter, [ADA])
    assert office.messages[0].endswith(b"\r\n\r\n.\r\n..\r\nQUIT\r\n.x\r\n")


def test_an_address_outside_ascii_is_sent_where_the_server_takes_it(certificates: Certificates, ca_file: str) -> None:
    office = PostOffice(features=("SMTPUTF8", "8BITMIME"))
    assert send(office, certificates, ca_file, "ädä@x.test").accepted == ["ädä@x.test"]
    assert [line.lower() for line in office.commands[:2]] == [
        "mail from:<me@sandbox.test> body=8bitmime smtputf8",
        "rcpt to:<ädä@x.test>",
    ]


def test_an_address_outside_ascii_is_refused_here_where_the_server_does_not(
    certificates: Certificates, ca_file: str
) -> None:
    office = PostOffice()
    outcome = send(office, certificates, ca_file, "ädä@x.test")
    assert "does not offer SMTPUTF8" in outcome.refused["ädä@x.test"]
    assert office.commands == ["quit"]
