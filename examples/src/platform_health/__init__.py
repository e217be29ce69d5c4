"""The health format that every service of the platform answers in (draft-inadarei-api-health-check-06)."""

from platform_health.report import MEDIA_TYPE, Check, Report, Status, uptime_check

__all__ = ["MEDIA_TYPE", "Check", "Report", "Status", "uptime_check"]
