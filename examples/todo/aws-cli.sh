#!/bin/bash
# To-do lists with the AWS CLI: two tables, the stream of one, and a script that counts with it.
#   examples/todo/aws-cli.sh [http://127.0.0.1:8000]
# Nothing here is written for Millrace: the endpoint is all that differs from a script on AWS.
set -euo pipefail
export AWS_ENDPOINT_URL=${1:-${AWS_ENDPOINT_URL:-http://127.0.0.1:8000}}
export AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=''
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-any} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-any}

quietly() { "$@" >/dev/null; }

quietly aws dynamodb create-table --table-name todoList --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=ListId,AttributeType=N --key-schema AttributeName=ListId,KeyType=HASH
quietly aws dynamodb create-table --table-name todoListTask --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=ListId,AttributeType=N AttributeName=TaskId,AttributeType=S \
  --key-schema AttributeName=ListId,KeyType=HASH AttributeName=TaskId,KeyType=RANGE \
  --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES
aws dynamodb wait table-exists --table-name todoList
aws dynamodb wait table-exists --table-name todoListTask

put() { aws dynamodb put-item --table-name "$1" --item "$2"; }
put todoList '{"ListId":{"N":"2"},"Name":{"S":"Work"},"TaskCount":{"N":"0"}}'
put todoList '{"ListId":{"N":"7"},"Name":{"S":"Home"},"TaskCount":{"N":"0"}}'
progress='{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"},"Description":{"S":"Share progress"}}'
put todoListTask "$progress"
quietly aws dynamodb batch-write-item --request-items '{"todoListTask":[
  {"PutRequest":{"Item":{"ListId":{"N":"2"},"TaskId":{"S":"2_plan"},"Description":{"S":"Plan the week"}}}},
  {"PutRequest":{"Item":{"ListId":{"N":"2"},"TaskId":{"S":"3_call"},"Description":{"S":"Call the bank"}}}},
  {"PutRequest":{"Item":{"ListId":{"N":"7"},"TaskId":{"S":"1_milk"},"Description":{"S":"Buy milk"}}}}]}'
aws dynamodb update-item --table-name todoListTask --key '{"ListId":{"N":"2"},"TaskId":{"S":"2_plan"}}' \
  --update-expression 'SET Description = :words' --condition-expression 'attribute_exists(TaskId)' \
  --expression-attribute-values '{":words":{"S":"Plan the month"}}'
aws dynamodb delete-item --table-name todoListTask --key '{"ListId":{"N":"2"},"TaskId":{"S":"3_call"}}'
# The same again changes nothing, and so makes no record.
put todoListTask "$progress"

# One line for each record: its kind and the list that it belongs to.
read_stream() {
  local shard iterator page records
  for shard in $(aws dynamodbstreams describe-stream --stream-arn "$1" \
    --query 'StreamDescription.Shards[].ShardId' --output text); do
    iterator=$(aws dynamodbstreams get-shard-iterator --stream-arn "$1" --shard-id "$shard" \
      --shard-iterator-type TRIM_HORIZON --query ShardIterator --output text)
    while [ "$iterator" != None ]; do
      page=$(aws dynamodbstreams get-records --shard-iterator "$iterator" --output text \
        --query '[[NextShardIterator], Records[].[eventName, dynamodb.Keys.ListId.N]][]')
      iterator=$(head -n 1 <<<"$page")
      records=$(tail -n +2 <<<"$page")
      [ -n "$records" ] || break
      echo "$records"
    done
  done
}

arn=$(aws dynamodb describe-table --table-name todoListTask --query Table.LatestStreamArn --output text)
# AWS may show records a little later than the tables do.
for _ in $(seq 60); do
  records=$(read_stream "$arn")
  [ "$(wc -l <<<"$records")" -ge 6 ] && break
  sleep 1
done
while read -r kind list; do
  case $kind in
    INSERT) step=1 ;;
    REMOVE) step=-1 ;;
    *) continue ;;
  esac
  aws dynamodb update-item --table-name todoList --key "{\"ListId\":{\"N\":\"$list\"}}" \
    --update-expression 'ADD TaskCount :step' --expression-attribute-values "{\":step\":{\"N\":\"$step\"}}"
done <<<"$records"

cut -f 1 <<<"$records" | sort | uniq -c
for list in 2 7; do
  aws dynamodb get-item --table-name todoList --key "{\"ListId\":{\"N\":\"$list\"}}" \
    --query 'Item.[Name.S, TaskCount.N]' --output text
done
aws dynamodb query --table-name todoListTask --key-condition-expression 'ListId = :list' \
  --expression-attribute-values '{":list":{"N":"2"}}' --query 'Items[].[Description.S]' --output text

for table in todoList todoListTask; do
  quietly aws dynamodb delete-table --table-name "$table"
  aws dynamodb wait table-not-exists --table-name "$table"
done
