"""To-do lists with boto3: two tables, the stream of one, and a program that counts with it.

    pip install boto3
    python examples/todo/boto3_todo.py [http://127.0.0.1:8000]

Nothing here is written for Millrace: the endpoint is all that differs from a program on AWS.
"""

import json
import os
import sys
import time

import boto3
from boto3.dynamodb.conditions import Key

endpoint = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:8000")
os.environ.setdefault("AWS_ACCESS_KEY_ID", "any")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "any")
dynamodb = boto3.resource("dynamodb", endpoint_url=endpoint, region_name="us-east-1")
streams = boto3.client("dynamodbstreams", endpoint_url=endpoint, region_name="us-east-1")


def read_stream(arn, wanted):
    """So many records of a stream, read shard by shard; AWS may show them a little later than the tables do."""
    end = time.time() + 60
    while True:
        found = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = streams.get_records(ShardIterator=iterator)
                if not page["Records"]:
                    break
                found += page["Records"]
                iterator = page.get("NextShardIterator")
        if len(found) >= wanted:
            return found
        if time.time() > end:
            raise RuntimeError(f"the stream shows {len(found)} records instead of {wanted}")
        time.sleep(0.25)


lists = dynamodb.create_table(
    TableName="todoList",
    AttributeDefinitions=[{"AttributeName": "ListId", "AttributeType": "N"}],
    KeySchema=[{"AttributeName": "ListId", "KeyType": "HASH"}],
    BillingMode="PAY_PER_REQUEST",
)
tasks = dynamodb.create_table(
    TableName="todoListTask",
    AttributeDefinitions=[
        {"AttributeName": "ListId", "AttributeType": "N"},
        {"AttributeName": "TaskId", "AttributeType": "S"},
    ],
    KeySchema=[
        {"AttributeName": "ListId", "KeyType": "HASH"},
        {"AttributeName": "TaskId", "KeyType": "RANGE"},
    ],
    BillingMode="PAY_PER_REQUEST",
    StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
)
lists.wait_until_exists()
tasks.wait_until_exists()

lists.put_item(Item={"ListId": 2, "Name": "Work", "TaskCount": 0})
lists.put_item(Item={"ListId": 7, "Name": "Home", "TaskCount": 0})
progress = {"ListId": 2, "TaskId": "1_progress", "Description": "Share progress"}
tasks.put_item(Item=progress)
with tasks.batch_writer() as batch:
    batch.put_item(Item={"ListId": 2, "TaskId": "2_plan", "Description": "Plan the week"})
    batch.put_item(Item={"ListId": 2, "TaskId": "3_call", "Description": "Call the bank"})
    batch.put_item(Item={"ListId": 7, "TaskId": "1_milk", "Description": "Buy milk"})
tasks.update_item(
    Key={"ListId": 2, "TaskId": "2_plan"},
    UpdateExpression="SET Description = :words",
    ConditionExpression="attribute_exists(TaskId)",
    ExpressionAttributeValues={":words": "Plan the month"},
)
tasks.delete_item(Key={"ListId": 2, "TaskId": "3_call"})
# The same again changes nothing, and so makes no record.
tasks.put_item(Item=progress)

steps = {"INSERT": 1, "MODIFY": 0, "REMOVE": -1}
records = read_stream(tasks.latest_stream_arn, 6)
for record in records:
    if steps[record["eventName"]] == 0:
        continue
    lists.update_item(
        Key={"ListId": int(record["dynamodb"]["Keys"]["ListId"]["N"])},
        UpdateExpression="ADD TaskCount :step",
        ExpressionAttributeValues={":step": steps[record["eventName"]]},
    )

items = [lists.get_item(Key={"ListId": list_id})["Item"] for list_id in (2, 7)]
work = tasks.query(KeyConditionExpression=Key("ListId").eq(2))["Items"]
shown = {
    "records": sorted(record["eventName"] for record in records),
    "counts": {item["Name"]: int(item["TaskCount"]) for item in items},
    "work": [item["Description"] for item in work],
}
print(json.dumps(shown, separators=(",", ":")))

for table in (lists, tasks):
    table.delete()
    table.wait_until_not_exists()
