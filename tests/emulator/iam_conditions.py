"""Judges calls by a policy whose statements have conditions. The emulator's SimulateCustomPolicy does
not hand condition keys on; this asks the evaluator behind it, with the keys set.

    iam_conditions.py < '{"policy": "…", "calls": [{"action": …, "resource": …, "context": {…}}]}'

Prints a JSON list: whether each is allowed.
"""

import json
import sys

from ministack.core import iam_evaluator

asked = json.load(sys.stdin)
policies = [iam_evaluator.parse_policy_document(asked["policy"])]


def allowed(call):
    context = iam_evaluator.EvalContext(
        principal_arn="arn:aws:sts::123456789012:assumed-role/deploy/ada",
        principal_type="AssumedRole",
        principal_account="123456789012",
        action=call["action"],
        resource_arn=call["resource"],
        region=call["context"].get("aws:RequestedRegion", "us-west-1"),
        service_context={key.lower(): value for key, value in call["context"].items()},
    )
    return iam_evaluator.evaluate(context, policies).decision == "Allow"


print(json.dumps([allowed(call) for call in asked["calls"]]))
