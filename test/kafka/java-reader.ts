import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { brokerJars } from './broker.mjs'

export interface JavaMessage {
  readonly partition: number
  readonly offset: number
  readonly key: string
  /** The header millrace-sequence. */
  readonly sequence: number | undefined
  /** Undefined is a tombstone. */
  readonly value: string | undefined
}

/** What of a topic is committed now, as Kafka's own consumer reads it: nothing of it goes through our client. */
export async function eachCommitted(
  address: string,
  topic: string,
  visit: (message: JavaMessage) => void,
): Promise<void> {
  const source = fileURLToPath(new URL('broker/Read.java', import.meta.url))
  const options = [
    ...['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData', `-Djava.io.tmpdir=${tmpdir()}`],
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
  ]
  const child = spawn('java', [...options, '-cp', `${brokerJars()}/*`, source, address, topic], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaints = ''
  child.stderr.on('data', (data: Buffer) => {
    complaints += data.toString()
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  for await (const line of createInterface({ input: child.stdout })) {
    const [partition, offset, key = '', sequence, value] = line.split('\t')
    visit({
      partition: Number(partition),
      offset: Number(offset),
      key,
      sequence: sequence === '-' ? undefined : Number(sequence),
      value: value === '-' ? undefined : value,
    })
  }
  const code = await exited
  if (code !== 0) throw new Error(`the Java consumer ended with ${code}: ${complaints}`)
}
