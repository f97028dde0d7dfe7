import { afterEach, beforeEach } from 'vitest'
import { Family } from '../../src/commit/index.js'
import type { ReplicationSettings } from '../../src/replicate/index.js'
import { temporaryFolder } from '../temporary-folder.js'
import { type Region, World } from './region-world.js'

/** The regions of the test that runs. */
export let world: World
export let [us, eu, ap] = [] as unknown as [Region, Region, Region]

export async function openRegions(settings?: Partial<ReplicationSettings>): Promise<void> {
  world = await World.open(temporaryFolder(), ['us-east-1', 'eu-west-1', 'ap-south-1'], settings)
  ;[us, eu, ap] = world.regions as [Region, Region, Region]
}

/** Each test of the file has three new regions. */
export function useThreeRegions(): void {
  beforeEach(() => openRegions())
  afterEach(() => world.close())
}

export const isActive = (region: Region, other: Region) => async () =>
  (await region.replicas('todo'))[other.name] === 'ACTIVE'

export async function replicate(from: Region, to: Region): Promise<void> {
  await from.update('todo', { Create: { RegionName: to.name } })
  await world.until('the replica is active', isActive(from, to))
  await world.until('the way back is, too', isActive(to, from))
}

export async function replicateAll(): Promise<void> {
  await us.create('todo')
  await replicate(us, eu)
  await replicate(us, ap)
  await world.until('eu and ap know each other', async () => (await isActive(eu, ap)()) && (await isActive(ap, eu)()))
}

export const isGone = (region: Region) => (): Promise<boolean> =>
  region.run('DescribeTable', { TableName: 'todo' }).then(
    () => false,
    () => true,
  )

/** Rows of what other regions must get and the change log does not have. */
export const unlogged = (region: Region): string[] =>
  [...region.storage.rows.keys()].filter((key) => key.charCodeAt(0) === Family.replication && key.charCodeAt(5) === 4)
