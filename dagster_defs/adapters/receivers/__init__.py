"""Where alerts go: mail servers, Slack, PagerDuty, webhooks."""
