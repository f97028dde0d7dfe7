import { MillraceError } from '../../runtime/index.js'
import { ok, type Route } from './route.js'

/** What one request may ask for. */
const namesMax = 64

export const metricRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'metrics',
    summary:
      'Some of the metrics as JSON, for pages and scripts. Only those that are named are looked up; one that is not known has no samples.',
    query: {
      names: `metrics without their prefix \`millrace_\`, with commas between; ${namesMax} at most (required)`,
    },
    answer: '{at: milliseconds since 1970, uptimeMs, samples: [{name, labels: {LABEL: text}, value}]}',
    run: async ({ metrics, query }) => {
      const names = (query.get('names') ?? '').split(',').filter((name) => name !== '')
      if (names.length === 0 || names.length > namesMax)
        throw new MillraceError('BAD_REQUEST', `names has 1 to ${namesMax} names of metrics, not ${names.length}.`)
      const samples = await metrics.samples(names)
      return ok({ at: Date.now(), uptimeMs: Math.round(process.uptime() * 1000), samples })
    },
  },
]
