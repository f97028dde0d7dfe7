import type { ParkReason } from './types.js'

/** What a user can do about a hot shard that no cut helps. */
export const remedies: { readonly [Reason in ParkReason]: readonly string[] } = {
  unsplittable: [
    'Aggregate in two phases: first per key and a salt, then over the salts.',
    'Add a salt to the key, so that its records spread over several shards and their order holds per salt.',
    'Write to a stream whose key is something finer, where no order per key is needed.',
  ],
  shardsMax: ['Raise shardsMax of the stream (and log.shardsMax), or raise its target.'],
  noSamples: ['Nothing has to be done: the shard is looked at again after the pause.'],
  refused: ["Look at the daemon's log; the shard is looked at again after the pause."],
}
