internal import CKernels

extension Stored<CPUBuffer> {
    /// Where the values at `range` can be read in float32: where they lie, or in `memory`, which has room for them.
    @unsafe func unpacked(
        _ range: Range<Int>, into memory: UnsafeMutablePointer<Float>
    ) -> UnsafeMutablePointer<Float> {
        guard precision != .f32 else { return unsafe words.pointer + range.lowerBound }
        unsafe unpack(range, into: memory)
        return unsafe memory
    }

    /// Copies the values at `range` to `memory` as float32.
    @unsafe func unpack(_ range: Range<Int>, into memory: UnsafeMutablePointer<Float>) {
        switch precision {
        case .f32: unsafe memory.update(from: words.pointer + range.lowerBound, count: range.count)
        case .bf16: unsafe ck_bf16_to_f32(memory, words.values(UInt16.self) + range.lowerBound, range.count)
        case .f16: unsafe ck_f16_to_f32(memory, words.values(UInt16.self) + range.lowerBound, range.count)
        case .int8: preconditionFailure("moments in eight bits are unpacked by the optimizer")
        }
    }

    /// Keeps float32 values at `start`, rounded to nearest.
    @unsafe func pack(_ memory: UnsafePointer<Float>, at start: Int, count: Int) {
        switch precision {
        case .f32: unsafe (words.pointer + start).update(from: memory, count: count)
        case .bf16: unsafe ck_f32_to_bf16(words.values(UInt16.self) + start, memory, count)
        case .f16, .int8: preconditionFailure("nothing is rounded to nearest in this precision")
        }
    }
}

extension CPUBuffer {
    /// The buffer's bits as values of another type.
    @unsafe func values<Value>(_ type: Value.Type) -> UnsafeMutablePointer<Value> {
        unsafe UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: type)
    }
}
