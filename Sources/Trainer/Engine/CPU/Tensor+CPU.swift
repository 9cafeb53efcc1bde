internal import CKernels

extension Tensor<CPUBuffer> {
    /// Float32 values where they lie, for the kernels.
    @unsafe var floats: UnsafeMutablePointer<Float> {
        precondition(precision == .f32, "values in \(precision) where float32 is computed")
        return unsafe storage.pointer
    }

    /// Whole numbers where they lie, for the kernels.
    @unsafe var integers: UnsafeMutablePointer<Int32> {
        precondition(precision == .int32, "values in \(precision) where whole numbers are")
        return unsafe storage.values(Int32.self)
    }

    /// Where the values at `range` can be read in float32: where they lie, or in `memory`, which has room for them.
    @unsafe func unpacked(
        _ range: Range<Int>, into memory: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Float> {
        guard precision != .f32 else { return unsafe storage.pointer + range.lowerBound }
        unsafe unpack(range, into: memory)
        return unsafe memory
    }

    /// Copies the values at `range` to `memory` as float32.
    @unsafe func unpack(_ range: Range<Int>, into memory: UnsafeMutablePointer<Float>) {
        let (start, count) = (range.lowerBound, range.count)
        switch precision {
        case .f32: unsafe memory.update(from: storage.pointer + start, count: count)
        case .bf16: unsafe ck_bf16_to_f32(memory, storage.values(UInt16.self) + start, count)
        case .f16: unsafe ck_f16_to_f32(memory, storage.values(UInt16.self) + start, count)
        case .int32:
            let values = unsafe storage.values(Int32.self) + start
            for i in 0..<count { unsafe memory[i] = Float(values[i]) }
        case .int8: preconditionFailure("moments in eight bits are unpacked by the optimizer")
        }
    }

    /// Keeps float32 values at `start`, rounded to nearest.
    @unsafe func pack(_ memory: UnsafePointer<Float>, at start: Int, count: Int) {
        switch precision {
        case .f32: unsafe (storage.pointer + start).update(from: memory, count: count)
        case .bf16: unsafe ck_f32_to_bf16(storage.values(UInt16.self) + start, memory, count)
        case .f16, .int8, .int32: preconditionFailure("nothing is rounded to nearest in this precision")
        }
    }

    /// Makes `count` values from `start` on zero.
    @unsafe func zero(at start: Int, count: Int) {
        switch precision {
        case .f32: unsafe (storage.pointer + start).update(repeating: 0, count: count)
        case .bf16, .f16: unsafe (storage.values(UInt16.self) + start).update(repeating: 0, count: count)
        case .int8, .int32: preconditionFailure("no gradient is kept in this precision")
        }
    }
}

extension CPUBuffer {
    /// The buffer's bits as values of another type.
    @unsafe func values<Value>(_ type: Value.Type) -> UnsafeMutablePointer<Value> {
        unsafe UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: type)
    }
}
