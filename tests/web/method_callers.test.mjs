// The closures of src/web/method_callers.js do what the texts say that stand for them: each is
// compared with what `new Function` makes of the same text.
// SPDX-License-Identifier: BSL-1.0
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { allow_method_callers, method_caller_maker } from '../../src/web/method_callers.js';

const text = (inner) =>
  `return function (handle, methodName, destructorsRef, args) {\n  ${inner}\n  }`;
const wrap = (inner) => `return emval_returnValue(toReturnWire, destructorsRef, ${inner})`;

/** A heap of values, as the runtime sees it, and a record of what was done. */
function world() {
  const told = [];
  class Box {
    constructor(...given) {
      told.push(['constructed', ...given]);
    }
    method(...given) {
      told.push(['method', this === box, ...given]);
      return given.length;
    }
  }
  const box = new Box();
  const handles = {
    1: box,
    2: Box,
    3: (...given) => {
      told.push(['called', ...given]);
      return 'value';
    },
  };
  const scope = {
    toValue: (handle) => handles[handle],
    argFromPtr0: (at) => `first at ${at}`,
    argFromPtr1: (at) => `second at ${at}`,
    getStringOrSymbol: (name) => ({ 9: 'method' })[name],
    toReturnWire: 'wire',
    emval_returnValue: (wire, destructors, value) => {
      told.push(['returned', wire, destructors, value instanceof Box ? 'a box' : value]);
      return 77;
    },
  };
  return { scope, told };
}

const two = 'argFromPtr0(args),argFromPtr1(args+8)';

for (const [what, inner, handle] of [
  ['a function', `toValue(handle)(${two})`, 3],
  ['a function without arguments', 'toValue(handle)()', 3],
  ['a method', `toValue(handle)[getStringOrSymbol(methodName)](${two})`, 1],
  ['a constructor', `new (toValue(handle))(argFromPtr0(args))`, 2],
]) {
  for (const [how, body] of [
    ['void', text(inner)],
    ['with a value', text(wrap(inner))],
  ]) {
    test(`${what}, ${how}`, () => {
      const outcomes = [Function, method_caller_maker].map((make) => {
        const { scope, told } = world();
        const caller = make(Object.keys(scope), body)(...Object.values(scope));
        return [caller(handle, 9, 'destructors', 64), told];
      });
      assert.deepEqual(outcomes[1], outcomes[0]);
      assert.ok(outcomes[1][1].length > 0);
    });
  }
}

test('a conversion gives its argument back', () => {
  const outcomes = [Function, method_caller_maker].map((make) => {
    const { scope, told } = world();
    const caller = make(
      Object.keys(scope),
      text(wrap('(argFromPtr0(args))')),
    )(...Object.values(scope));
    return [caller(0, 0, 'destructors', 64), told];
  });
  assert.deepEqual(outcomes[1], outcomes[0]);
});

test('any other text is not recognised', () => {
  for (const body of [
    '',
    'return 1',
    text('alert(1)'),
    text('toValue(handle)(alert(1))'),
    text('toValue(handle)(argFromPtr0(args),alert(1))'),
    text(`toValue(handle)(${two});alert(1)`),
    text('toValue(handle).constructor(argFromPtr0(args))'),
    `${text('toValue(handle)()')};alert(1)`,
  ]) {
    assert.equal(method_caller_maker(['toValue', 'argFromPtr0'], body), undefined, body);
  }
});

test('Function stays what it is in every other respect', () => {
  const scope = { Function };
  allow_method_callers(scope);
  assert.ok(test instanceof scope.Function);
  assert.equal(scope.Function.prototype, Function.prototype);
  assert.equal(new scope.Function('a', 'b', 'return a + b')(1, 2), 3);
  const { scope: names, told } = world();
  new scope.Function(Object.keys(names), text('toValue(handle)()'))(...Object.values(names))(
    3,
    0,
    0,
    0,
  );
  assert.deepEqual(told.at(-1), ['called']);
});
