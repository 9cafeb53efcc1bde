internal import CKernels
internal import Foundation

extension CPUEngine {
    /// See ``Engine/adamW(weights:gradients:mean:square:step:)``.
    public func adamW(
        weights: CPUBuffer, gradients: CPUBuffer, mean: Moment<CPUBuffer>, square: Moment<CPUBuffer>,
        step: AdamWStep
    ) {
        let constants = ck_adamw(
            rate: step.rate, beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon, decay: step.decay,
            correction1: correction(step.beta1, step.step), correction2: correction(step.beta2, step.step),
            gradient_scale: step.gradientScale)
        pool.forEachPiece(.optimizer, of: weights.count, cost: 1) { range in
            switch mean.precision {
            case .f32: wholeStep(range, weights, gradients, mean, square, constants)
            case .bf16, .int8:
                // A block at a time, so that the unpacked moments stay in the nearest cache.
                for start in stride(from: range.lowerBound, to: range.upperBound, by: Moment<CPUBuffer>.block)
                {
                    let block = start..<min(start + Moment<CPUBuffer>.block, range.upperBound)
                    packedStep(
                        block, weights, gradients, mean, square, constants,
                        UInt32(truncatingIfNeeded: step.step))
                }
            }
        }
    }
}

/// A step on moments that are kept in float32.
private func wholeStep(
    _ range: Range<Int>, _ weights: CPUBuffer, _ gradients: CPUBuffer, _ mean: Moment<CPUBuffer>,
    _ square: Moment<CPUBuffer>, _ constants: ck_adamw
) {
    let start = range.lowerBound
    unsafe withUnsafePointer(to: constants) { constants in
        unsafe ck_adamw_step(
            weights.pointer + start, gradients.pointer + start, mean.words.pointer + start,
            square.words.pointer + start, range.count, constants)
    }
}

/// A step on one block: its moments are unpacked, moved and packed again.
private func packedStep(
    _ range: Range<Int>, _ weights: CPUBuffer, _ gradients: CPUBuffer, _ mean: Moment<CPUBuffer>,
    _ square: Moment<CPUBuffer>, _ constants: ck_adamw, _ step: UInt32
) {
    let (start, count) = (range.lowerBound, range.count)
    let first = UInt32(truncatingIfNeeded: mean.start + start)
    let (meanKey, squareKey) = (step &* 0x2545_F491, step &* 0x2545_F491 &+ 0x9E37_79B1)
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * Moment<CPUBuffer>.block) { values in
        guard let m = values.baseAddress else { return }
        let v = unsafe m + Moment<CPUBuffer>.block
        unsafe withUnsafePointer(to: constants) { constants in
            let (w, g) = unsafe (weights.pointer + start, gradients.pointer + start)
            switch mean.precision {
            case .f32: preconditionFailure("moments in float32 are not packed")
            case .bf16:
                let codes = unsafe (
                    mean.words.bytes(UInt16.self) + start, square.words.bytes(UInt16.self) + start
                )
                unsafe ck_bf16_to_f32(m, codes.0, count)
                unsafe ck_bf16_to_f32(v, codes.1, count)
                unsafe ck_adamw_step(w, g, m, v, count, constants)
                unsafe ck_pack_bf16(codes.0, m, count, first, meanKey)
                unsafe ck_pack_bf16(codes.1, v, count, first, squareKey)
            case .int8:
                let block = start / Moment<CPUBuffer>.block
                let codes = unsafe (
                    mean.words.bytes(Int8.self) + start, square.words.bytes(UInt8.self) + start
                )
                let scales = unsafe (mean.scales.pointer + block, square.scales.pointer + block)
                unsafe ck_unpack_mean(m, codes.0, count, scales.0.pointee)
                unsafe ck_unpack_square(v, codes.1, count, scales.1.pointee)
                unsafe ck_adamw_step(w, g, m, v, count, constants)
                unsafe scales.0.pointee = ck_pack_mean(codes.0, m, count, first, meanKey)
                unsafe scales.1.pointee = ck_pack_square(codes.1, v, count, first, squareKey)
            }
        }
    }
}

extension CPUBuffer {
    /// The buffer's bytes as values of another type.
    @unsafe fileprivate func bytes<Value>(_ type: Value.Type) -> UnsafeMutablePointer<Value> {
        unsafe UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: type)
    }
}

/// 1 / (1 − beta^step), in double precision: in float32 the difference would keep few digits.
private func correction(_ beta: Float, _ step: Int) -> Float {
    Float(1 / (1 - pow(Double(beta), Double(step))))
}
