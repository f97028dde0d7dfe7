import {
  checkJsonShape,
  checkJsonShapes,
  notBoolean,
  notList,
  notMap,
  notNumber,
  notStructure,
  notText,
  notValue,
  type Place,
  type ValidationError,
} from '../values/index.js'

/**
 * The JSON types of a request's members. AWS reads the whole body by its model before it looks at what it means, so a
 * member of a wrong type is a SerializationException whatever else is wrong. Attribute values are looked into where they
 * are checked (checkItem): one walk is enough for what is on every write's way.
 */
type Shape =
  | 'text'
  | 'integer'
  | 'long'
  | 'boolean'
  /** A map of attribute values. */
  | 'item'
  /** One attribute value. */
  | 'value'
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly structure: string; readonly members: Readonly<Record<string, Shape>> }

const structure = (name: string, members: Readonly<Record<string, Shape>>): Shape => ({ structure: name, members })
const texts: Shape = { map: 'text' }

const expressions = { ExpressionAttributeNames: texts, ExpressionAttributeValues: 'item' } as const
const conditions: Shape = {
  map: structure('Condition', { ComparisonOperator: 'text', AttributeValueList: { list: 'value' } }),
}
const write = {
  TableName: 'text',
  Expected: {
    map: structure('ExpectedAttributeValue', {
      ComparisonOperator: 'text',
      AttributeValueList: { list: 'value' },
      Exists: 'boolean',
      Value: 'value',
    }),
  },
  ConditionalOperator: 'text',
  ConditionExpression: 'text',
  ...expressions,
  ReturnValues: 'text',
  ReturnValuesOnConditionCheckFailure: 'text',
  ReturnConsumedCapacity: 'text',
  ReturnItemCollectionMetrics: 'text',
} as const
const range = {
  TableName: 'text',
  IndexName: 'text',
  Select: 'text',
  Limit: 'integer',
  ConsistentRead: 'boolean',
  ExclusiveStartKey: 'item',
  FilterExpression: 'text',
  ProjectionExpression: 'text',
  ...expressions,
  AttributesToGet: { list: 'text' },
  ConditionalOperator: 'text',
  ReturnConsumedCapacity: 'text',
} as const
const throughputs = {
  ProvisionedThroughput: structure('ProvisionedThroughput', { ReadCapacityUnits: 'long', WriteCapacityUnits: 'long' }),
  OnDemandThroughput: structure('OnDemandThroughput', { MaxReadRequestUnits: 'long', MaxWriteRequestUnits: 'long' }),
  WarmThroughput: structure('WarmThroughput', { ReadUnitsPerSecond: 'long', WriteUnitsPerSecond: 'long' }),
} as const
const keySchema: Shape = { list: structure('KeySchemaElement', { AttributeName: 'text', KeyType: 'text' }) }
const index = {
  IndexName: 'text',
  KeySchema: keySchema,
  Projection: structure('Projection', { ProjectionType: 'text', NonKeyAttributes: { list: 'text' } }),
} as const
const table = {
  TableName: 'text',
  AttributeDefinitions: {
    list: structure('AttributeDefinition', { AttributeName: 'text', AttributeType: 'text' }),
  },
  BillingMode: 'text',
  ProvisionedThroughput: structure('ProvisionedThroughput', { ReadCapacityUnits: 'long', WriteCapacityUnits: 'long' }),
  StreamSpecification: structure('StreamSpecification', { StreamEnabled: 'boolean', StreamViewType: 'text' }),
  TableClass: 'text',
  DeletionProtectionEnabled: 'boolean',
  SSESpecification: structure('SSESpecification', { Enabled: 'boolean', SSEType: 'text', KMSMasterKeyId: 'text' }),
  OnDemandThroughput: structure('OnDemandThroughput', { MaxReadRequestUnits: 'long', MaxWriteRequestUnits: 'long' }),
  WarmThroughput: structure('WarmThroughput', { ReadUnitsPerSecond: 'long', WriteUnitsPerSecond: 'long' }),
} as const
const tags: Shape = { list: structure('Tag', { Key: 'text', Value: 'text' }) }
const ofTable = { TableName: 'text' } as const

const transacted = {
  TableName: 'text',
  ConditionExpression: 'text',
  ...expressions,
  ReturnValuesOnConditionCheckFailure: 'text',
} as const

const statement = {
  Statement: 'text',
  Parameters: { list: structure('AttributeValue', {}) },
  ConsistentRead: 'boolean',
  ReturnValuesOnConditionCheckFailure: 'text',
} as const

/** By operation; what is not named is not looked at, as on AWS. */
const requests: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  PutItem: { ...write, Item: 'item' },
  UpdateItem: {
    ...write,
    Key: 'item',
    UpdateExpression: 'text',
    AttributeUpdates: { map: structure('AttributeValueUpdate', { Action: 'text', Value: 'value' }) },
  },
  DeleteItem: { ...write, Key: 'item' },
  GetItem: {
    TableName: 'text',
    Key: 'item',
    ConsistentRead: 'boolean',
    ProjectionExpression: 'text',
    ExpressionAttributeNames: texts,
    AttributesToGet: { list: 'text' },
    ReturnConsumedCapacity: 'text',
  },
  BatchWriteItem: {
    RequestItems: {
      map: {
        list: structure('WriteRequest', {
          PutRequest: structure('PutRequest', { Item: 'item' }),
          DeleteRequest: structure('DeleteRequest', { Key: 'item' }),
        }),
      },
    },
    ReturnConsumedCapacity: 'text',
    ReturnItemCollectionMetrics: 'text',
  },
  BatchGetItem: {
    RequestItems: {
      map: structure('KeysAndAttributes', {
        Keys: { list: 'item' },
        ConsistentRead: 'boolean',
        ProjectionExpression: 'text',
        ExpressionAttributeNames: texts,
        AttributesToGet: { list: 'text' },
      }),
    },
    ReturnConsumedCapacity: 'text',
  },
  TransactWriteItems: {
    TransactItems: {
      list: structure('TransactWriteItem', {
        ConditionCheck: structure('ConditionCheck', { ...transacted, Key: 'item' }),
        Put: structure('Put', { ...transacted, Item: 'item' }),
        Delete: structure('Delete', { ...transacted, Key: 'item' }),
        Update: structure('Update', { ...transacted, Key: 'item', UpdateExpression: 'text' }),
      }),
    },
    ReturnConsumedCapacity: 'text',
    ReturnItemCollectionMetrics: 'text',
    ClientRequestToken: 'text',
  },
  TransactGetItems: {
    TransactItems: {
      list: structure('TransactGetItem', {
        Get: structure('Get', {
          TableName: 'text',
          Key: 'item',
          ProjectionExpression: 'text',
          ExpressionAttributeNames: texts,
        }),
      }),
    },
    ReturnConsumedCapacity: 'text',
  },
  ExecuteStatement: {
    ...statement,
    NextToken: 'text',
    Limit: 'integer',
    ReturnConsumedCapacity: 'text',
  },
  BatchExecuteStatement: {
    Statements: { list: structure('BatchStatementRequest', statement) },
    ReturnConsumedCapacity: 'text',
  },
  ExecuteTransaction: {
    TransactStatements: { list: structure('ParameterizedStatement', statement) },
    ClientRequestToken: 'text',
    ReturnConsumedCapacity: 'text',
  },
  Query: {
    ...range,
    KeyConditionExpression: 'text',
    ScanIndexForward: 'boolean',
    KeyConditions: conditions,
    QueryFilter: conditions,
  },
  Scan: { ...range, ScanFilter: conditions, Segment: 'integer', TotalSegments: 'integer' },
  CreateTable: {
    ...table,
    KeySchema: keySchema,
    LocalSecondaryIndexes: { list: structure('LocalSecondaryIndex', index) },
    GlobalSecondaryIndexes: { list: structure('GlobalSecondaryIndex', { ...index, ...throughputs }) },
    Tags: tags,
  },
  UpdateTable: {
    ...table,
    GlobalSecondaryIndexUpdates: {
      list: structure('GlobalSecondaryIndexUpdate', {
        Update: structure('UpdateGlobalSecondaryIndexAction', { IndexName: 'text', ...throughputs }),
        Create: structure('CreateGlobalSecondaryIndexAction', { ...index, ...throughputs }),
        Delete: structure('DeleteGlobalSecondaryIndexAction', { IndexName: 'text' }),
      }),
    },
    ReplicaUpdates: {
      list: structure('ReplicationGroupUpdate', {
        Create: structure('CreateReplicationGroupMemberAction', { RegionName: 'text' }),
        Update: structure('UpdateReplicationGroupMemberAction', { RegionName: 'text' }),
        Delete: structure('DeleteReplicationGroupMemberAction', { RegionName: 'text' }),
      }),
    },
    MultiRegionConsistency: 'text',
  },
  DescribeTable: ofTable,
  DeleteTable: ofTable,
  TagResource: { ResourceArn: 'text', Tags: tags },
  UntagResource: { ResourceArn: 'text', TagKeys: { list: 'text' } },
  ListTagsOfResource: { ResourceArn: 'text', NextToken: 'text' },
  UpdateTimeToLive: {
    ...ofTable,
    TimeToLiveSpecification: structure('TimeToLiveSpecification', { AttributeName: 'text', Enabled: 'boolean' }),
  },
  DescribeTimeToLive: ofTable,
  DescribeContinuousBackups: ofTable,
  UpdateContinuousBackups: {
    ...ofTable,
    PointInTimeRecoverySpecification: structure('PointInTimeRecoverySpecification', {
      PointInTimeRecoveryEnabled: 'boolean',
      RecoveryPeriodInDays: 'integer',
    }),
  },
  DescribeKinesisStreamingDestination: ofTable,
  EnableKinesisStreamingDestination: { ...ofTable, StreamArn: 'text' },
  DisableKinesisStreamingDestination: { ...ofTable, StreamArn: 'text' },
  UpdateKinesisStreamingDestination: {
    ...ofTable,
    StreamArn: 'text',
    UpdateKinesisStreamingConfiguration: structure('UpdateKinesisStreamingConfiguration', {
      ApproximateCreationDateTimePrecision: 'text',
    }),
  },
  ListTables: { ExclusiveStartTableName: 'text', Limit: 'integer' },
  ListStreams: { TableName: 'text', Limit: 'integer', ExclusiveStartStreamArn: 'text' },
  DescribeStream: {
    StreamArn: 'text',
    Limit: 'integer',
    ExclusiveStartShardId: 'text',
    ShardFilter: structure('ShardFilter', { Type: 'text', ShardId: 'text' }),
  },
  GetShardIterator: { StreamArn: 'text', ShardId: 'text', ShardIteratorType: 'text', SequenceNumber: 'text' },
  GetRecords: { ShardIterator: 'text', Limit: 'integer' },
}

/** Refuses a request with a member of a wrong JSON type. A null is a member that is not there. */
export function checkShape(operation: string, input: Readonly<Record<string, unknown>>): void {
  const members = Object.hasOwn(requests, operation) ? requests[operation] : undefined
  if (members) checkMembers(members, input, false)
}

/**
 * As checkShape, into the attribute values: for a request that is refused already, since a fault in the JSON of a value
 * comes before whatever else is wrong.
 */
export function checkShapeOfValues(operation: string, input: Readonly<Record<string, unknown>>): void {
  const members = Object.hasOwn(requests, operation) ? requests[operation] : undefined
  if (members) checkMembers(members, input, true)
}

function checkMembers(
  members: Readonly<Record<string, Shape>>,
  found: Readonly<Record<string, unknown>>,
  ofValues: boolean,
): void {
  for (const name in members) {
    const value = found[name]
    if (value !== undefined && value !== null) check(members[name] as Shape, value, 'member', ofValues)
  }
}

function check(shape: Shape, value: unknown, place: Place, ofValues: boolean): void {
  const fault = faultOf(shape, value, place)
  if (fault) throw fault
  if (typeof shape === 'string') {
    if (ofValues && shape === 'item') checkJsonShapes(value as object)
    if (ofValues && shape === 'value') checkJsonShape(value)
  } else if ('members' in shape) checkMembers(shape.members, value as Readonly<Record<string, unknown>>, ofValues)
  else if ('list' in shape) {
    for (const element of value as readonly unknown[]) checkElement(shape.list, element, ofValues)
  } else {
    for (const element of Object.values(value as object)) checkElement(shape.map, element, ofValues)
  }
}

function checkElement(shape: Shape, element: unknown, ofValues: boolean): void {
  if (element !== null) check(shape, element, 'element', ofValues)
}

function faultOf(shape: Shape, value: unknown, place: Place): ValidationError | undefined {
  const isObject = typeof value === 'object' && !Array.isArray(value)
  switch (shape) {
    case 'text':
      return typeof value === 'string' ? undefined : notText(value)
    case 'integer':
      return typeof value === 'number' ? undefined : notNumber('Integer', value)
    case 'long':
      return typeof value === 'number' ? undefined : notNumber('Long', value)
    case 'boolean':
      return typeof value === 'boolean' ? undefined : notBoolean(value)
    case 'item':
      return isObject ? undefined : notMap(value, place)
    case 'value':
      return isObject ? undefined : notValue(value, place)
    default:
      if ('list' in shape) return Array.isArray(value) ? undefined : notList(value, place)
      if (isObject) return undefined
      return 'map' in shape ? notMap(value, place, javaTypeOf(shape.map)) : notStructure(shape.structure, value, place)
  }
}

/** As AWS's parser names it. */
function javaTypeOf(shape: Shape): string {
  if (shape === 'text') return 'java.lang.String'
  if (typeof shape === 'string') return 'com.amazonaws.dynamodb.v20120810.AttributeValue'
  if ('list' in shape) return `java.util.List<${javaTypeOf(shape.list)}>`
  if ('map' in shape) return `java.util.Map<java.lang.String, ${javaTypeOf(shape.map)}>`
  return `com.amazonaws.dynamodb.v20120810.${shape.structure}`
}
