// Everpool worker page: tensors as bytes and as typed arrays. Pure.
// SPDX-License-Identifier: BSL-1.0

/** Bytes per element and the array that onnxruntime-web takes and gives for each data type. */
const data_types = {
  float32: [4, Float32Array],
  float64: [8, Float64Array],
  float16: [2, Uint16Array],
  int8: [1, Int8Array],
  uint8: [1, Uint8Array],
  int16: [2, Int16Array],
  uint16: [2, Uint16Array],
  int32: [4, Int32Array],
  uint32: [4, Uint32Array],
  int64: [8, BigInt64Array],
  uint64: [8, BigUint64Array],
  bool: [1, Uint8Array],
};

export const is_data_type = (dtype) => Object.hasOwn(data_types, dtype);

/** Elements of a shape; 1 for a scalar. NaN if it is not a list of sizes. */
export function element_count(shape) {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return NaN;
    count *= dimension;
  }
  return count;
}

/** How many bytes a tensor of this type and shape has; NaN if either is none. */
export function tensor_bytes(dtype, shape) {
  return is_data_type(dtype) ? element_count(shape) * data_types[dtype][0] : NaN;
}

/** The bytes under an ArrayBuffer or any view of one, not copied. */
export function bytes_of(data) {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** The same bytes as the typed array of their type. \pre as many as the type and shape ask for */
export function typed_data(dtype, data) {
  const [each, TypedArray] = data_types[dtype];
  const { buffer, byteOffset, byteLength } = bytes_of(data);
  if (byteOffset % each !== 0)
    return new TypedArray(buffer.slice(byteOffset, byteOffset + byteLength));
  return new TypedArray(buffer, byteOffset, byteLength / each);
}

/** What is wrong with {name, dtype, shape, data}, in words; null if nothing is. */
export function data_fault(tensor) {
  if (tensor === null || typeof tensor !== 'object') return 'no tensor';
  const { name, dtype, shape, data } = tensor;
  if (typeof name !== 'string') return 'its name is no string';
  if (!is_data_type(dtype)) return `its dtype '${dtype}' is unknown`;
  if (!Array.isArray(shape)) return 'its shape is no array';
  const expected = tensor_bytes(dtype, shape);
  if (Number.isNaN(expected)) return `its shape [${shape}] is not of sizes`;
  if (!ArrayBuffer.isView(data) && !(data instanceof ArrayBuffer)) {
    return 'its data is neither a typed array nor an ArrayBuffer';
  }
  if (data.byteLength !== expected) {
    return `${dtype}[${shape}] has ${expected} bytes, its data ${data.byteLength}`;
  }
  return null;
}
