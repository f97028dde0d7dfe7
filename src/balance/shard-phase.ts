/**
 * How the balancer stands to an open shard. `calm`: below `watchAbove`, its keys are not looked at. `watched`: its keys are
 * sampled. `splitting`, `merging`: a change is on its way. `parked`: hot, and no cut helps; sampled, and left alone for a
 * while. `gone`: sealed.
 */
export type ShardPhase = 'calm' | 'watched' | 'splitting' | 'merging' | 'parked' | 'gone'

/**
 * `warm`, `cool`: its load went above or below `watchAbove`. `split`, `merge`, `park`: what was decided. `refused`: the log
 * did not take the change. `sealed`: by this change or somebody else's.
 */
export type PhaseEvent = 'warm' | 'cool' | 'split' | 'merge' | 'park' | 'refused' | 'sealed'

/** Every event in every phase; `undefined` cannot happen, and says so when it does. */
export const shardPhases: { readonly [From in ShardPhase]: { readonly [On in PhaseEvent]: ShardPhase | undefined } } = {
  calm: {
    warm: 'watched',
    cool: 'calm',
    // A hot shard is warm in the same tick, before anything is decided.
    split: undefined,
    merge: 'merging',
    park: undefined,
    refused: undefined,
    sealed: 'gone',
  },
  watched: {
    warm: 'watched',
    cool: 'calm',
    split: 'splitting',
    // Neighbours that merge are cold; one that is looked at by hand may be cold too.
    merge: 'merging',
    park: 'parked',
    refused: undefined,
    sealed: 'gone',
  },
  splitting: {
    warm: 'splitting',
    cool: 'splitting',
    split: undefined,
    merge: undefined,
    park: undefined,
    refused: 'parked',
    sealed: 'gone',
  },
  merging: {
    warm: 'merging',
    cool: 'merging',
    split: undefined,
    merge: undefined,
    park: undefined,
    refused: 'calm',
    sealed: 'gone',
  },
  parked: {
    warm: 'parked',
    // The pauses begin anew with the next heat.
    cool: 'calm',
    // Its pause is over and a cut helps now.
    split: 'splitting',
    // With a policy that calls cold what it still calls hot.
    merge: 'merging',
    // Its pause is over and still nothing helps: a longer one.
    park: 'parked',
    refused: undefined,
    sealed: 'gone',
  },
  gone: {
    warm: 'gone',
    cool: 'gone',
    split: undefined,
    merge: undefined,
    park: undefined,
    // The answer to a change that somebody else's overtook.
    refused: 'gone',
    sealed: 'gone',
  },
}

/** In these phases nothing is decided about a shard. */
export const isChanging = (phase: ShardPhase): boolean =>
  phase === 'splitting' || phase === 'merging' || phase === 'gone'
