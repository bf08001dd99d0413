"""Monitoring programs of others, run as their users run them (spec clients §9, §12)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.live_server import STORE, TIMEOUT_S, LiveServer


def need(package: str, why: str = "") -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed{why}")


def run(code: str, *arguments: str, **environment: str) -> str:
    """Run a Python program of its own: these packages change logging and read the environment when they are imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


EXPORTER = """
import sys
from pbs_exporter import create_app
from werkzeug.test import Client
answer = Client(create_app(sys.argv[1], sys.argv[2])).get("/metrics")
assert answer.status_code == 200, answer.text
print(answer.text)
"""


def test_pbs_exporter_shows_tasks_and_the_node(server: LiveServer) -> None:
    need("pbs_exporter")
    if sys.version_info >= (3, 12):
        pytest.skip("pbs-exporter needs distutils, which Python 3.12 has no more")
    shown = run(EXPORTER, server.url, f"{server.token_id}:{server.token}")
    values = {name: value for name, _, value in (line.rpartition(" ") for line in shown.splitlines()) if not name.startswith("#")}
    assert float(values['pbs_node_memory_total{node="localhost"}']) > 0
    assert float(values['pbs_node_uptime{node="localhost"}']) > 0
    assert float(values['pbs_node_loadavg_15{node="localhost"}']) >= 0
    tasks = [name for name in values if name.startswith("pbs_task_status{")]
    assert sum('worker_type="backup"' in name and 'status="OK"' in name for name in tasks) == 3


MONITORING = """
import sys
from proxmoxer import ProxmoxAPI
from pbs_monitoring_tools import pbs_monitoring_tools as tool
port, user, name, secret, ca = sys.argv[1:]
api = ProxmoxAPI("127.0.0.1", port=int(port), user=user, token_name=name, token_value=secret, verify_ssl=ca, service="pbs", timeout=30)
stores = [store["store"] for store in tool.get_datastores_list(api)]
found = tool.get_all_backups(api, datastore=stores[0], namespace="", namespaces_to_ignore=[], max_depth=7)
tool.check_last_backups_expiration(found, 72)
tool.check_backups_status(found)
print([(ns, len(items)) for ns, items in found])
print(tool.print_detailed_errors(72))
"""


def test_pbs_monitoring_tools_walks_all_namespaces_and_finds_old_backups(server: LiveServer, authority: str) -> None:
    need("pbs_monitoring_tools")
    user, _, name = server.token_id.partition("!")
    shown = run(MONITORING, str(server.port), user, name, server.token, authority)
    first, *_, last = shown.splitlines()
    assert first == "[('', 2), ('office', 1)]"
    assert "Most recent snapshot in group '/host/elsa' is" in shown
    assert "Most recent snapshot in group 'office/host/elsa' is" in shown
    assert last == "True"


TOOLS = """
import asyncio, json, sys
from pbs_mcp.server import mcp
async def main():
    for name, arguments in json.loads(sys.argv[1]):
        answer = await mcp.call_tool(name, {"params": arguments})
        blocks = answer[0] if isinstance(answer, tuple) else answer
        print(json.dumps("".join(block.text for block in blocks)))
asyncio.run(main())
"""


class Tools:
    """Calls of pbs-mcp, which reads its settings from the environment."""

    def __init__(self, server: LiveServer, authority: str, **more: str) -> None:
        self._environment = {
            "PBS_HOST": server.url,
            "PBS_TOKEN_ID": server.token_id,
            "PBS_TOKEN_SECRET": server.token,
            "PBS_CA_BUNDLE": authority,
            "PBS_DEFAULT_DATASTORE": STORE,
            **more,
        }

    def __call__(self, *calls: tuple[str, dict[str, Any]]) -> list[str]:
        answers = [json.loads(line) for line in run(TOOLS, json.dumps(calls), **self._environment).splitlines()]
        assert not [answer for answer in answers if answer.startswith("Error")], answers
        return answers


def test_pbs_mcp_reads(server: LiveServer, authority: str) -> None:
    need("pbs_mcp")
    stores, groups, snapshots, status, tasks, gc, jobs, overview = Tools(server, authority)(
        ("pbs_list_datastores", {}),
        ("pbs_list_groups", {}),
        ("pbs_list_snapshots", {}),
        ("pbs_datastore_status", {}),
        ("pbs_list_tasks", {}),
        ("pbs_gc_status", {}),
        ("pbs_list_verify_jobs", {}),
        ("pbs_health_overview", {}),
    )
    assert STORE in stores
    assert "elsa" in groups
    assert "elsa" in snapshots
    assert STORE in status
    assert tasks
    assert gc
    assert jobs
    assert STORE in overview


def test_pbs_mcp_writes(server: LiveServer, authority: str, tmp_path: Path) -> None:
    need("pbs_mcp")
    tools = Tools(server, authority, PBS_ALLOW_WRITE="true", HOME=str(tmp_path))
    started, pruned = tools(
        ("pbs_run_gc", {"confirm": True}), ("pbs_prune_dry_run", {"backup_type": "host", "backup_id": "elsa", "keep_last": 1})
    )
    assert "UPID" in started
    assert pruned
    server.until_idle()
    # Its task commands take no UPID of any PBS: they expect three numbers in it where there are four.
    ended = next(item for item in server.rest("GET", "nodes/localhost/tasks") if item["worker_type"] == "garbage_collection")
    assert ended["status"] == "OK"
    assert ended["upid"] in started
