import { type Definition, readGivenDefinitions } from '../control/key-schema.js'
import { validation } from '../requests/aws-error.js'
import { type Constraints, type Input, list, object } from '../requests/request.js'
import { readCreatedIndex, readIndexName, readThroughputs, type WantedIndex } from './index-request.js'
import type { WantedUpdate } from './throughput.js'

export type IndexAction =
  | { readonly kind: 'create'; readonly name: string; readonly index: WantedIndex }
  | { readonly kind: 'update'; readonly name: string; readonly wanted: WantedUpdate }
  | { readonly kind: 'delete'; readonly name: string }

/** GlobalSecondaryIndexUpdates and what belongs to it. */
export interface IndexUpdates {
  readonly actions: readonly IndexAction[]
  /** Whether the member is there, with entries or without: empty it is nothing, and a fault beside anything else. */
  readonly given: 'entries' | 'empty' | undefined
  /** AttributeDefinitions, if they are given. */
  readonly definitions: readonly Definition[] | undefined
}

type Entry = Readonly<Record<'Update' | 'Create' | 'Delete', Input | undefined>>

/** Reads them; `done` is to be called when the constraints of the whole request hold. */
export function readIndexUpdates(
  input: Input,
  constraints: Constraints,
): { readonly updates: IndexUpdates; readonly done: () => void } {
  const entries = (list(input, 'GlobalSecondaryIndexUpdates') ?? []).map(entryOf)
  const actions = entries.flatMap((entry, i) =>
    actionsOf(entry, `globalSecondaryIndexUpdates.${i + 1}.member`, constraints),
  )
  const isGiven = list(input, 'AttributeDefinitions') !== undefined
  const definitions = isGiven ? readGivenDefinitions(input, constraints) : undefined
  const given =
    entries.length > 0 ? 'entries' : list(input, 'GlobalSecondaryIndexUpdates') === undefined ? undefined : 'empty'
  return { updates: { actions, given, definitions }, done: () => checkEntries(entries, actions) }
}

function entryOf(given: unknown): Entry {
  const entry = (given ?? {}) as Input
  return { Update: object(entry, 'Update'), Create: object(entry, 'Create'), Delete: object(entry, 'Delete') }
}

function actionsOf({ Update, Create, Delete }: Entry, place: string, constraints: Constraints): IndexAction[] {
  const actions: IndexAction[] = []
  if (Update) {
    const name = readIndexName(Update, `${place}.update`, constraints)
    const wanted = { name, ...readThroughputs(Update, `${place}.update`, constraints) }
    actions.push({ kind: 'update', name, wanted })
  }
  if (Create) {
    const index = readCreatedIndex(Create, `${place}.create`, constraints)
    actions.push({ kind: 'create', name: index.name, index })
  }
  if (Delete) actions.push({ kind: 'delete', name: readIndexName(Delete, `${place}.delete`, constraints) })
  return actions
}

function checkEntries(entries: readonly Entry[], actions: readonly IndexAction[]): void {
  const invalid = (text: string): Error => validation(`One or more parameter values were invalid: ${text}`)
  for (const { Update, Create, Delete } of entries) {
    const count = [Update, Create, Delete].filter((each) => each !== undefined).length
    if (count === 0) {
      throw invalid(
        'One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, ' +
          'GlobalSecondaryIndexUpdate.Delete must not be null',
      )
    }
    if (count > 1)
      throw invalid('Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object')
  }
  const names = new Set<string>()
  for (const { name } of actions) {
    if (names.has(name))
      throw invalid(`Only one global secondary index update per index is allowed simultaneously. Index: ${name}`)
    names.add(name)
  }
}
