"""Requests recorded from a Proxmox Backup Server get the same status, the same shape and the same error text from us.

What is not so is listed here with its reason; a request that is listed and agrees fails the test, so that the lists only shrink.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kit.fixture_store import copied
from kit.recorded_site import Record, recorded_site, recording
from kit.replay import Player, difference, place
from kit.site import Site

LATER = "this feature comes later"
NOT_SERVED = {
    r"/access/tfa": LATER,
    r"/config/(access/(openid|ldap|ad|tfa)|acme|remote|s3|encryption-keys|metrics|notifications/(endpoints|matcher))": LATER,
    r"/config/traffic-control/": LATER,
    r"/status/metrics": LATER,
    r"/nodes/localhost/(apt/versions|disks/zfs|dns|network|syslog)": "the machine is administrated by its own tools",
    r"/admin/datastore/fix/(pxar-file-download|move-group|move-namespace)": LATER,
    r"archive-name=": "listing a split archive by its own metadata comes later",
    r"%3Amove-(group|namespace)%3A": "tasks of calls that are not served",
}

SETTING = "the recorded server is configured in a way that cannot be set here yet"
DIFFERENT = {  # by name, or by method and path
    "login pam": "the account of the recorded machine does not exist here",
    "tfa step 2 totp": LATER,
    "tfa step 2 recovery": LATER,
    "tfa step 2 recovery second key": LATER,
    "domains": SETTING,
    "domains extjs": SETTING,
    "GET /api2/json/config/access/pbs": SETTING,
    "GET /api2/json/nodes/localhost/config": SETTING,
    "GET /api2/json/admin/metrics": SETTING,
    "GET /api2/json/admin/traffic-control": SETTING,
    "GET /api2/json/config/traffic-control": SETTING,
    "GET /api2/json/config/notifications/targets": SETTING,
    "GET /api2/json/nodes/localhost/subscription": "there is nothing to be bought, so no `url`",
    "GET /api2/json/nodes/localhost/disks/list": "the recorded machine lacked a program that the list is made with there",
    "two parameter errors": "we name all three wrong parameters",
    "two parameter errors extjs": "we name all three wrong parameters",
    "GET /api2/json/admin/datastore/fix/snapshots?ns=empty&backup-type=vm": "an empty list, as for a group that is not there",
    "status verbose after": "follows the move of a namespace, which is not served",
}

# Errors that we say in other words, because theirs are those of a library or tell less; what must be in ours all the same.
OTHER_WORDS = {
    "backup missing upgrade header": "upgrade header",
    "backup wrong upgrade header": "upgrade header",
    "backup extjs wrong upgrade header": "upgrade header",
    "reader missing upgrade header": "upgrade header",
    "backup unknown store": "Datastore.Backup",
    "backup without privilege": "Datastore.Backup",
    "backup benchmark group without flag": "host/benchmark",
    "backup benchmark flag with other group": "host/benchmark",
    "reader missing snapshot": "does not exist",
    "reader missing group": "does not exist",
    "reader missing namespace": "does not exist",
    "reader without privilege": "no permission",
    "reader other owner": "backup owner check failed",
    "bad content type": "unsupported content type",
    "json broken": "unable to parse the request body as JSON",
    "GET /api2/json/admin/datastore/fix/groups": "ENOENT: No such file or directory",
    "GET /api2/json/admin/datastore/fix/snapshots": "ENOENT: No such file or directory",
    "extjs GET /admin/datastore/fix/snapshots": "ENOENT: No such file or directory",
    "GET /api2/json/admin/datastore/fix/files": "ENOENT: No such file or directory",
    "GET /api2/json/admin/datastore/fix/notes": "does not exist",
    "GET /api2/json/admin/datastore/fix/download": "No such file or directory",
    "GET /api2/json/admin/datastore/fix/catalog": "No such file or directory",
    "group notes put missing group": "ENOENT: No such file or directory",
    "protected missing snapshot": "snapshot vm/100/1970-01-01T00:00:05Z does not exist!",
    "prune missing group": "ENOENT: No such file or directory",
    "delete protected snapshot": "cannot remove protected snapshot",
    "delete snapshot again": "No such file or directory",
    "delete snapshot again extjs": "No such file or directory",
    "upload log bad crc": "wrong CRC",
    "upload log missing snapshot": "ENOENT: No such file or directory",
    "change owner missing group": "No such file or directory",
    "namespace depth 8": "deeper than 7 levels",
    "namespace delete non-empty": "only partially deleted due to existing groups but `delete-groups` not true",
    "group delete missing": "ENOENT: No such file or directory",
}


@pytest.fixture(scope="module", params=["01-auth", "02-read", "03-content"])
def replay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Site]]:
    where = tmp_path_factory.mktemp("recorded")
    copied(tmp_path_factory.getbasetemp().parent, where)
    with recorded_site(where / "site", where) as site:
        yield request.param, site


def test_recorded_requests_get_the_same_answers(replay: tuple[str, Site]) -> None:
    name, site = replay
    player, wrong, agreed = Player(site), [], []
    for record in recording(name):
        if "status" not in record:
            continue  # what belongs to the transport is played over a real connection; or the reference gave no answer
        answer = player.play(record)
        found = difference(record, answer)
        listed = _listed(record)
        if found is None and listed is not None:
            agreed.append(f"{record['name']}: {place(record)}")
        elif found is not None and listed is None and not _is_in_other_words(record, answer.text):
            wrong.append(f"{record['name']} as {record['as']}, {record['method']} {record['path'][:120]}: {found[:500]}")
    assert not wrong, "\n".join(wrong)
    assert not agreed, "listed as different, but the same:\n" + "\n".join(agreed)


def _listed(record: Record) -> str | None:
    """Why the answer to this request differs, if it may."""
    for key in (record["name"], place(record), f"{place(record)}?{record['path'].partition('?')[2]}"):
        if key in DIFFERENT:
            return DIFFERENT[key]
    return next((reason for pattern, reason in NOT_SERVED.items() if re.search(pattern, record["path"])), None)


def _is_in_other_words(record: Record, text: str) -> bool:
    fragment = OTHER_WORDS.get(record["name"], OTHER_WORDS.get(place(record)))
    is_error = record["status"] >= 400 or '"success":false' in record["response-body"].get("text", "")
    return is_error and fragment is not None and fragment in text
