import { MillraceError } from '../../runtime/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { refuseBusy } from '../control/table-status.js'
import { validation } from '../requests/aws-error.js'
import { type Constraints, type Input, list, object, oneOf, text } from '../requests/request.js'
import { isIn, othersOf } from './members.js'
import type { ReplicatedTables } from './replicated-tables.js'
import { tableShapeOf } from './table-shape.js'

/** Regions by what is to become of their replica. */
export type ReplicaUpdates = ReadonlyMap<string, 'in' | 'out'>

const invalid = (what: string): Error => validation(`One or more parameter values were invalid: ${what}`)

/** Reads ReplicaUpdates of an UpdateTable. Adds to the constraints; throws ValidationException. */
export function readReplicaUpdates(input: Input, constraints: Constraints): ReplicaUpdates | undefined {
  const consistency = oneOf(
    input,
    'MultiRegionConsistency',
    'multiRegionConsistency',
    ['EVENTUAL', 'STRONG'],
    constraints,
  )
  const given = list(input, 'ReplicaUpdates')
  const updates = new Map<string, 'in' | 'out'>()
  const wanted = (given ?? []).map((each, i) => readOne(each as Input, `replicaUpdates.${i + 1}.member`, constraints))
  constraints.done()
  if (consistency === 'STRONG')
    throw validation(
      'MultiRegionConsistency STRONG is not supported by this version of Millrace: replicas are eventually consistent',
    )
  if (given === undefined) {
    if (consistency !== undefined) throw invalid('MultiRegionConsistency can only be specified with ReplicaUpdates')
    return undefined
  }
  if (given.length === 0) throw invalid('List of ReplicaUpdates is empty')
  for (const { region, action } of wanted) {
    if (updates.has(region)) throw invalid(`Only one replica update for region ${region} is allowed in a request`)
    updates.set(region, action === 'Create' ? 'in' : 'out')
  }
  return updates
}

function readOne(
  given: Input,
  member: string,
  constraints: Constraints,
): { readonly region: string; readonly action: 'Create' | 'Delete' } {
  const actions = (['Create', 'Update', 'Delete'] as const).filter((name) => (given[name] ?? undefined) !== undefined)
  if (actions.length !== 1)
    throw invalid('Exactly one of Create, Update and Delete must be specified in each of ReplicaUpdates')
  const action = actions[0] as 'Create' | 'Update' | 'Delete'
  const details = object(given, action) ?? {}
  const region = text(details, 'RegionName')
  constraints.check(
    region !== undefined,
    `${member}.${action.toLowerCase()}.regionName`,
    undefined,
    'Member must not be null',
  )
  if (action === 'Update')
    throw validation(
      'Update of a replica is not supported by this version of Millrace: a replica has the settings that UpdateTable gives it in its own region',
    )
  for (const name of Object.keys(details)) {
    if (name === 'RegionName' || (details[name] ?? undefined) === undefined) continue
    throw validation(
      `${name} of a replica is not supported by this version of Millrace; LIMITATIONS.md lists what is not there yet`,
    )
  }
  return { region: region ?? '', action }
}

/** Carries out ReplicaUpdates: what can be said of them is said at once, replicas are made and filled by the links. */
export async function updateReplicas(
  name: string,
  updates: ReplicaUpdates,
  {
    catalogue,
    replicas,
    now,
  }: { readonly catalogue: Catalogue; readonly replicas: ReplicatedTables; readonly now: () => number },
): Promise<TableRow> {
  const { links, region: home } = replicas
  const check = (row: TableRow): void => {
    // Where this replica is going, others that cannot be reached are taken out, lest it wait for them for ever.
    const isGoing = row.replication?.isActive && !isIn(row.replication, home)
    if (!isGoing || [...updates.values()].includes('in')) refuseBusy(row, now())
    const others = row.replication ? othersOf(row.replication) : []
    for (const [region, state] of updates) {
      if (region === home)
        throw validation(
          'Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.',
        )
      if (state === 'out') {
        if (!others.includes(region))
          throw validation(
            `Update global table operation failed because one or more replicas were not part of the global table. Please retry the request without these replicas: [${region}].`,
          )
        continue
      }
      if (others.includes(region))
        throw validation(
          `Failed to create a the new replica of table with name: '${name}' because one or more replicas already existed as tables.`,
        )
      if (!links?.regions.includes(region))
        throw invalid(`Region ${region} is not known: it has no entry under regions in the configuration of ${home}`)
      refuseWithoutStream(row, catalogue)
    }
  }
  const present = catalogue.get(name)
  if (present) {
    check(present.row)
    for (const [region, state] of updates) {
      if (state === 'in') await askRegion(region, present.row, replicas)
    }
  }
  return replicas.change(name, updates, check)
}

function refuseWithoutStream(row: TableRow, catalogue: Catalogue): void {
  const arn = row.label === undefined ? undefined : catalogue.streamArn({ tableName: row.name, label: row.label })
  if (arn !== undefined && catalogue.awsStream(arn)?.view === 'NEW_AND_OLD_IMAGES') return
  throw invalid(
    `Table ${row.name} must have its stream enabled with StreamViewType NEW_AND_OLD_IMAGES before replicas are created`,
  )
}

/** A region that cannot be reached now is asked again by its link; one that refuses is believed. */
async function askRegion(region: string, row: TableRow, { links }: ReplicatedTables): Promise<void> {
  try {
    await links?.check(region, tableShapeOf(row))
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'REPLICA_REFUSED')
      throw invalid(`Failed to create a replica of ${row.name} in ${region}: ${error.message}`)
  }
}
