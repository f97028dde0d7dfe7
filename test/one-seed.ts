/** For `npm run mutants`: what is caught today is caught tomorrow, and nobody waits for a smaller example of it. */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env.MILLRACE_TEST_ONE_SEED), endOnFailure: true })
