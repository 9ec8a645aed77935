// Prints a suite of the npm package `@bufbuild/cel-spec` as JSON: `conformance`, `checking` or
// `parsing`. A negative zero, which JSON numbers lose, is printed as the text "-0", as numbers that
// are none are in the suite itself.

import { pathToFileURL } from 'node:url';

const folder = `${process.env.MXCP_CLIENTS}/cel-spec/node_modules/@bufbuild/cel-spec/dist/esm/testdata`;
const { tests } = await import(pathToFileURL(`${folder}/${process.argv[2]}.js`));
const exact = (_, value) => (Object.is(value, -0) ? '-0' : value);
process.stdout.write(JSON.stringify(tests, exact));
