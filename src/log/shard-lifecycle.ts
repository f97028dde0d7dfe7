import type { Shard } from './types.js'

/** What can happen to a shard. */
export type ShardEvent = 'append' | 'split' | 'merge' | 'reopen' | 'close'

/**
 * The whole life of a shard: what each event makes of it, and `undefined` where it is refused. A sealed shard never opens
 * again and takes nothing more; what it holds goes by trimming, which changes its low watermark and no state.
 */
export const shardLifecycle: {
  readonly [From in Shard['state']]: { readonly [On in ShardEvent]: Shard['state'] | undefined }
} = {
  open: {
    append: 'open',
    /** Sealed for two or more children with a part of its range each. */
    split: 'sealed',
    /** Sealed together with its neighbour for one child with both ranges. */
    merge: 'sealed',
    /** Sealed for one child with the same range: other images from here on. */
    reopen: 'sealed',
    /** Sealed without a child: the stream is closed. */
    close: 'sealed',
  },
  sealed: { append: undefined, split: undefined, merge: undefined, reopen: undefined, close: undefined },
}

/** Whether a shard takes an event. */
export const takes = (shard: Shard, event: ShardEvent): boolean => shardLifecycle[shard.state][event] !== undefined
