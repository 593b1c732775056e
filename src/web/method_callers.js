// Everpool worker page: lets onnxruntime-web's WebNN provider work under a Content-Security-Policy
// that forbids eval.
// SPDX-License-Identifier: BSL-1.0
//
// The runtime's WebAssembly calls methods of JavaScript objects (MLGraphBuilder, above all) through
// small functions that its loader puts together as source text and hands to `new Function`. A
// strict policy forbids that, and the runtime dies with "unreachable". Allowing eval for the whole
// page would be the wrong way out, since those texts have just four forms:
//
//     call a function     toValue(handle)(arguments)
//     call a method       toValue(handle)[getStringOrSymbol(methodName)](arguments)
//     construct           new (toValue(handle))(arguments)
//     convert             (arguments)
//
// with arguments argFromPtr0(args),argFromPtr1(args+8),... and possibly wrapped, when a value is
// returned, in emval_returnValue(toReturnWire, destructorsRef, ...). Exactly these are recognised
// here and answered with a closure that does the same. Any other use of Function goes to the real
// one, and so to the policy, as before.

const frame = /^return function \(handle, methodName, destructorsRef, args\) \{\s*(.*?);?\s*\}$/s;
const returned = /^return emval_returnValue\(toReturnWire, destructorsRef, (.*)\)$/s;
const call = /^([^,]*)\(((?:argFromPtr\d+\(args(?:\+\d+)?\),?)*)\)$/;
const argument = /^(argFromPtr\d+)\(args(?:\+(\d+))?\)$/;

const invokers = {
  'new (toValue(handle))': ({ toValue }, handle, _method, given) => new (toValue(handle))(...given),
  'toValue(handle)': ({ toValue }, handle, _method, given) => toValue(handle)(...given),
  'toValue(handle)[getStringOrSymbol(methodName)]': (scope, handle, method, given) =>
    scope.toValue(handle)[scope.getStringOrSymbol(method)](...given),
  '': (_scope, _handle, _method, given) => given.at(-1),
};

/**
 * What `new Function(names, body)` would be, for the bodies above; undefined for any other.
 * Applied to the values of `names`, it gives the caller.
 */
export function method_caller_maker(names, body) {
  const inner = frame.exec(body)?.[1];
  if (inner === undefined) return undefined;
  const wrapped = returned.exec(inner);
  const parts = call.exec(wrapped === null ? inner : wrapped[1]);
  if (parts === null || !Object.hasOwn(invokers, parts[1])) return undefined;
  const places = parts[2] === '' ? [] : parts[2].split(',').map((text) => argument.exec(text));
  if (places.includes(null)) return undefined;
  const invoke = invokers[parts[1]];
  return (...values) => {
    const scope = Object.fromEntries(names.map((name, i) => [name, values[i]]));
    const readers = places.map(([, name, offset = 0]) => [scope[name], Number(offset)]);
    return (handle, method, destructors, args) => {
      const given = readers.map(([read, offset]) => read(args + offset));
      const value = invoke(scope, handle, method, given);
      if (wrapped !== null) return scope.emval_returnValue(scope.toReturnWire, destructors, value);
      return undefined;
    };
  };
}

/** Puts it in the way of `scope.Function`, which stays itself in every other respect. */
export function allow_method_callers(scope) {
  scope.Function = new Proxy(scope.Function, {
    construct(RealFunction, given, new_target) {
      const [names, body] = given;
      const maker =
        Array.isArray(names) && typeof body === 'string' && given.length === 2
          ? method_caller_maker(names, body)
          : undefined;
      return maker ?? Reflect.construct(RealFunction, given, new_target);
    },
  });
}
