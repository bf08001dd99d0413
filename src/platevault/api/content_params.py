"""Parameter models that many endpoints of datastore content share."""

from __future__ import annotations

from platevault.api.parameters import Params
from platevault.api.types import BackupId, BackupTypeText, Epoch, NodeName, Ns, Positive, StoreName
from platevault.formats.names import ROOT, GroupName, SnapshotName
from platevault.services.prune_plan import Retention


class StoreParams(Params):
    store: StoreName


class NodeParams(Params):
    node: NodeName


class NsParams(StoreParams):
    ns: Ns = ROOT


class GroupParams(NsParams):
    backup_type: BackupTypeText
    backup_id: BackupId

    @property
    def group(self) -> GroupName:
        return GroupName.make(self.backup_type, self.backup_id)


class SnapshotParams(GroupParams):
    backup_time: Epoch

    @property
    def snapshot(self) -> SnapshotName:
        return SnapshotName.make(self.backup_type, self.backup_id, self.backup_time)


class KeepParams(Params):
    """The retention options. At least 1 each: to keep nothing by a rule, the rule is left out."""

    keep_last: Positive | None = None
    keep_hourly: Positive | None = None
    keep_daily: Positive | None = None
    keep_weekly: Positive | None = None
    keep_monthly: Positive | None = None
    keep_yearly: Positive | None = None

    @property
    def retention(self) -> Retention:
        return Retention(self.keep_last, self.keep_hourly, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly)
