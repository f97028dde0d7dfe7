import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface StartOptions {
  /** None with `--ephemeral`. */
  readonly data?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  readonly node?: string
  readonly cwd?: string
  readonly main?: string
}

/** An answer of the AWS face that is an error. */
export class AwsFailure extends Error {
  readonly type: string
  constructor(type: string, message: string) {
    super(`${type}: ${message}`)
    this.type = type
  }
}

/** A daemon of its own process, as a user runs it. */
export class DaemonProcess {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  log = ''
  url = ''

  private constructor(child: ChildProcess) {
    this.child = child
    this.exited = new Promise((resolve) => child.on('exit', (code) => resolve(code)))
  }

  /** Starts `millrace serve` and resolves when it says that it is ready; rejects with its log when it ends before. */
  static async start(options: StartOptions): Promise<DaemonProcess> {
    const main = options.main ?? new URL('../dist/cli/main.cjs', import.meta.url).pathname
    const data = options.data === undefined ? [] : ['--data', options.data]
    const args = [main, 'serve', ...data, '--port', '0', ...(options.args ?? [])]
    const child = spawn(options.node ?? process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
    const daemon = new DaemonProcess(child)
    // Of a test that failed, too.
    const endWithUs = () => child.kill('SIGKILL')
    process.once('exit', endWithUs)
    void daemon.exited.then(() => process.removeListener('exit', endWithUs))
    child.stderr?.on('data', (data: Buffer) => {
      daemon.log = (daemon.log + data.toString()).slice(-100_000)
    })
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const ready = /^millrace ready (http:\S+)/.exec(line)
        if (ready) {
          daemon.url = ready[1]!
          resolve()
        }
      })
      void daemon.exited.then((code) => reject(new Error(`the daemon ended with ${code}:\n${daemon.log}`)))
    })
    return daemon
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** SIGTERM; the exit code of a graceful stop. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM')
    return this.exited
  }

  async aws<T = Record<string, unknown>>(operation: string, input: unknown): Promise<T> {
    const service = /Stream|Records|ShardIterator/.test(operation) ? 'DynamoDBStreams_20120810' : 'DynamoDB_20120810'
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `${service}.${operation}` },
      body: JSON.stringify(input),
    })
    const body = (await response.json()) as Record<string, unknown>
    if (!response.ok)
      throw new AwsFailure(String(body.__type).replace(/^.*#/, ''), String(body.message ?? body.Message))
    return body as T
  }

  async v1<T = Record<string, unknown>>(method: string, path: string, body?: unknown, accept?: string): Promise<T> {
    const response = await fetch(`${this.url}/v1/${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'x-millrace': '1', ...(accept ? { accept } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /v1/${path}: ${response.status} ${text}`)
    return JSON.parse(text || '{}') as T
  }
}

export interface StreamRecord {
  readonly eventID: string
  readonly eventName: 'INSERT' | 'MODIFY' | 'REMOVE'
  readonly dynamodb: {
    readonly Keys: Record<string, Record<string, string>>
    readonly NewImage?: Record<string, Record<string, string>>
    readonly OldImage?: Record<string, Record<string, string>>
    readonly SequenceNumber: string
  }
}

/** Everything in a table's stream, parents before children, as a consumer of AWS reads it. */
export async function readStream(daemon: DaemonProcess, streamArn: string): Promise<StreamRecord[]> {
  const records: StreamRecord[] = []
  let start: string | undefined
  do {
    const { StreamDescription } = await daemon.aws<{
      StreamDescription: {
        Shards: { ShardId: string; SequenceNumberRange: { EndingSequenceNumber?: string } }[]
        LastEvaluatedShardId?: string
      }
    }>('DescribeStream', { StreamArn: streamArn, ExclusiveStartShardId: start })
    for (const shard of StreamDescription.Shards) {
      const open = shard.SequenceNumberRange.EndingSequenceNumber === undefined
      const first = await daemon.aws<{ ShardIterator: string }>('GetShardIterator', {
        StreamArn: streamArn,
        ShardId: shard.ShardId,
        ShardIteratorType: 'TRIM_HORIZON',
      })
      let iterator: string | undefined = first.ShardIterator
      while (iterator) {
        const page: { Records: StreamRecord[]; NextShardIterator?: string } = await daemon.aws('GetRecords', {
          ShardIterator: iterator,
          Limit: 1000,
        })
        records.push(...page.Records)
        if (open && page.Records.length === 0) break
        iterator = page.NextShardIterator
      }
    }
    start = StreamDescription.LastEvaluatedShardId
  } while (start)
  return records
}
