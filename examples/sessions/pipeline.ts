import { pipeline, session, stream } from 'millrace'

export interface Click {
  readonly user: string
  readonly page: string
  /** Milliseconds since 1970, by the clock of the browser. */
  readonly at: number
}

/** A part of a visit; at first each click is one. */
interface Visit {
  readonly user: string
  readonly clicks: number
  readonly landing: string
  readonly exit: string
  readonly from: number
  readonly to: number
}

const visitOf = ({ user, page, at }: Click): Visit => ({ user, clicks: 1, landing: page, exit: page, from: at, to: at })

/** Clicks arrive in any order, so which part was first follows from their times. */
const joined = (a: Visit, b: Visit): Visit => ({
  user: a.user,
  clicks: a.clicks + b.clicks,
  landing: a.from <= b.from ? a.landing : b.landing,
  exit: a.to >= b.to ? a.exit : b.exit,
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
})

/** The visits of each user: a click belongs to the visit whose last click was at most half an hour before. */
export default pipeline('visits')
  .from(stream<Click>('clicks'))
  .eventTime(({ value }) => value.at, { outOfOrder: '2m' })
  .map(({ value }) => visitOf(value))
  .keyBy(({ user }) => user)
  .window(session('30m'))
  .reduce('visit', joined)
  .to(stream('visits', ({ value }, user) => ({ key: user, value })))
