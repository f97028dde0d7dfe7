import type { ConfigInput } from '../../src/config/index.js'
import type { Clock } from '../../src/runtime/index.js'
import { type Serving, serve } from '../server/serving.js'

/** An answer of the AWS path: the status, and the body parsed. */
export interface Answer<Body> {
  readonly status: number
  /** The name of the error, after its namespace. */
  readonly error: string | undefined
  readonly message: string | undefined
  readonly body: Body
}

export interface Asking {
  ask<Body = Record<string, unknown>>(operation: string, input: unknown): Promise<Answer<Body>>
  /** A table with `pk` (S), and `sk` (N) if `range`; gives its name. */
  table(options?: { range?: boolean; view?: string }): Promise<string>
  readonly url: string
  readonly serving: Serving
}

const streamOperations = new Set(['ListStreams', 'DescribeStream', 'GetShardIterator', 'GetRecords'])

/** A daemon in this process, asked over HTTP in the words of the wire: an SDK would refuse to send much of what is tested. */
export async function asking(input: ConfigInput = {}, clock?: Clock): Promise<Asking> {
  const serving = await serve(input, clock)
  const { url } = serving
  const ask = async <Body>(operation: string, input: unknown): Promise<Answer<Body>> => {
    const service = streamOperations.has(operation) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810'
    const response = await fetch(`${url}/`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `${service}.${operation}` },
      body: typeof input === 'string' || input instanceof Uint8Array ? (input as string) : JSON.stringify(input),
    })
    const text = await response.text()
    const body = (text === '' ? {} : JSON.parse(text)) as Body
    const { __type, message, Message } = body as { __type?: string; message?: string; Message?: string }
    return { status: response.status, error: __type?.slice(__type.indexOf('#') + 1), message: message ?? Message, body }
  }
  let number = 0
  const table = async ({ range = false, view }: { range?: boolean; view?: string } = {}) => {
    const TableName = `table-${number++}`
    const made = await ask('CreateTable', {
      TableName,
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        ...(range ? [{ AttributeName: 'sk', AttributeType: 'N' }] : []),
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        ...(range ? [{ AttributeName: 'sk', KeyType: 'RANGE' }] : []),
      ],
      BillingMode: 'PAY_PER_REQUEST',
      ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
    })
    if (made.status !== 200) throw new Error(made.message)
    return TableName
  }
  return { ask, table, url, serving }
}
