"""Judges events by the schema of the Open Cybersecurity Schema Framework itself.

    ocsf.py FILE    one event a line
"""

import json
import sys

import jsonschema
from ocsf_json_schema import get_ocsf_schema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded


def main(path):
    judges = {}
    count = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            version = event["metadata"]["version"]
            key = (version, event["class_uid"])
            if key not in judges:
                schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
                name = schemas.lookup_class_name_from_uid(event["class_uid"])
                schema = schemas.get_class_schema(name, event["metadata"].get("profiles", []))
                judges[key] = jsonschema.Draft202012Validator(schema)
            problems = [error.message for error in judges[key].iter_errors(event)]
            if problems:
                sys.exit(f"{event['api' if 'api' in event else 'message']}: {problems}")
            count += 1
    print(f"{count} events are as their classes say")


main(sys.argv[1])
