import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateTableCommand,
} from '@aws-sdk/client-dynamodb'
import { expect } from 'vitest'
import { DaemonProcess } from '../daemon-process.js'
import { newAuthority } from '../kafka/certificates.js'
import { temporaryFolder } from '../temporary-folder.js'
import { TcpProxy } from './tcp-proxy.js'

const TableName = 'todo'
let folder = ''
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const authority = newAuthority('links')

class RunningRegion {
  readonly name: string
  readonly proxy: TcpProxy
  readonly #config: string
  readonly #data: string
  daemon!: DaemonProcess
  client!: DynamoDBClient

  constructor(name: string, proxy: TcpProxy, other: { readonly name: string; readonly proxy: TcpProxy }) {
    this.name = name
    this.proxy = proxy
    this.#data = join(folder, name)
    const { cert, key } = authority.issue(name, ['127.0.0.1'])
    this.#config = write(
      `${name}.yaml`,
      JSON.stringify({
        aws: { region: name },
        regions: { [other.name]: { url: `https://127.0.0.1:${other.proxy.port}` } },
        replication: {
          listen: { enabled: true, port: 0 },
          tls: {
            caFile: write('ca.pem', authority.cert),
            certFile: write(`${name}.pem`, cert),
            keyFile: write(`${name}.key`, key),
          },
        },
      }),
    )
  }

  async start(): Promise<void> {
    this.daemon = await DaemonProcess.start({ data: this.#data, args: ['--config', this.#config] })
    const { port } = await this.daemon.v1<{ port: number }>('GET', 'replicas')
    this.proxy.target = port
    this.client = new DynamoDBClient({
      endpoint: this.daemon.url,
      region: this.name,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    })
  }

  async put(pk: string, value: string): Promise<void> {
    await this.client.send(new PutItemCommand({ TableName, Item: { pk: { S: pk }, value: { S: value } } }))
  }

  async status(): Promise<string | undefined> {
    const { Table } = await this.client.send(new DescribeTableCommand({ TableName }))
    return Table?.Replicas?.[0]?.ReplicaStatus
  }

  verify(): Promise<{ items: number; different: unknown[] }> {
    return this.daemon.v1('POST', `tables/${TableName}/verify`)
  }
}

export interface Load {
  /** Items that are there before the replica is. */
  readonly items: number
  /** Rounds of writes to both regions; in the middle of them a link is cut for some, and a region is killed. */
  readonly rounds: number
}

/** Two daemons over mutual TLS, whose links are cut and slow while both are written to; they must be equal afterwards. */
export async function checkTwoDaemons({ items, rounds }: Load): Promise<void> {
  folder = temporaryFolder()
  const [usProxy, euProxy] = [await TcpProxy.start(), await TcpProxy.start()]
  const us = new RunningRegion('us-east-1', usProxy, { name: 'eu-west-1', proxy: euProxy })
  const eu = new RunningRegion('eu-west-1', euProxy, { name: 'us-east-1', proxy: usProxy })
  await Promise.all([us.start(), eu.start()])
  try {
    await us.client.send(
      new CreateTableCommand({
        TableName,
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      }),
    )
    await Promise.all(Array.from({ length: items }, (_, i) => us.put(`old ${i}`, 'before the replica')))
    const { TableDescription } = await us.client.send(
      new UpdateTableCommand({ TableName, ReplicaUpdates: [{ Create: { RegionName: 'eu-west-1' } }] }),
    )
    expect(TableDescription).toMatchObject({
      TableStatus: 'UPDATING',
      GlobalTableVersion: '2019.11.21',
      Replicas: [{ RegionName: 'eu-west-1', ReplicaStatus: 'CREATING' }],
    })
    await expect.poll(() => us.status()).toBe('ACTIVE')
    await expect.poll(() => eu.status()).toBe('ACTIVE')

    // The links are cut and slow while both regions are written to, on the same items, and one of them is killed.
    const middle = rounds >> 1
    const count = items + Math.min(30, 19 + rounds)
    for (let round = 0; round < rounds; round++) {
      usProxy.delayMs = round % 3 === 0 ? 20 : 0
      if (round % 4 === 1) usProxy.cutAll()
      if (round % 4 === 3) euProxy.cutAll()
      euProxy.isCut = Math.abs(round - middle) < 2
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          Promise.all([us.put(`both ${(round + i) % 30}`, `us ${round}`), eu.put(`both ${i}`, `eu ${round}`)]),
        ),
      )
      if (round === middle) {
        await eu.daemon.kill()
        await eu.start()
      }
    }
    euProxy.isCut = false
    await expect.poll(() => us.verify().catch(() => undefined)).toMatchObject({ items: count, different: [] })
    await expect.poll(() => eu.verify().catch(() => undefined)).toMatchObject({ items: count, different: [] })

    const { stdout } = await promisify(execFile)(process.execPath, [
      new URL('../../dist/cli/main.cjs', import.meta.url).pathname,
      ...['tables', 'replicas', TableName, '--url', us.daemon.url, '--json'],
    ])
    expect(JSON.parse(stdout)).toMatchObject({ replicas: [{ region: 'eu-west-1', status: 'ACTIVE' }] })
    const metrics = async () => (await fetch(`${us.daemon.url}/metrics`)).text()
    await expect.poll(metrics).toContain('millrace_replica_following{table="todo",region="eu-west-1"} 1')

    // Whoever has no certificate of the authority is not asked what he wants.
    expect(await handshake(us.proxy.target as number)).not.toBe('let in')
    const stranger = newAuthority('links').issue('us-east-1')
    expect(await handshake(us.proxy.target as number, stranger)).not.toBe('let in')
    expect(await handshake(us.proxy.target as number, authority.issue('eu-west-1'))).toBe('let in')
  } finally {
    await Promise.all([us.daemon.stop(), eu.daemon.stop()])
    await Promise.all([usProxy.close(), euProxy.close()])
  }
}

/** Asks as a link would, with a certificate or without one. */
function handshake(port: number, own?: { readonly cert: string; readonly key: string }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority.cert, ...own }, () => {
      socket.write('POST /replicate/v1/nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
    })
    socket.on('data', () => {
      resolve('let in')
      socket.destroy()
    })
    socket.on('error', (error) => resolve(error.message))
    socket.on('close', () => resolve('closed'))
  })
}
