internal import CKernels
internal import Foundation

extension CPUEngine {
    /// See ``Engine/adamW(weights:gradients:mean:square:step:)``.
    public func adamW(
        weights: CPUBuffer, gradients: Stored<CPUBuffer>, mean: Stored<CPUBuffer>, square: Stored<CPUBuffer>,
        step: AdamWStep
    ) {
        let constants = ck_adamw(
            rate: step.rate, beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon, decay: step.decay,
            correction1: correction(step.beta1, step.step), correction2: correction(step.beta2, step.step),
            gradient_scale: step.gradientScale)
        let isPacked = gradients.precision != .f32 || mean.precision != .f32
        pool.forEachPiece(.optimizer, of: weights.count, cost: 1) { range in
            // Packed values a block at a time, so that what is unpacked stays in the nearest cache.
            let size = isPacked ? Stored<CPUBuffer>.block : range.count
            for start in stride(from: range.lowerBound, to: range.upperBound, by: size) {
                let block = start..<min(start + size, range.upperBound)
                if isPacked {
                    packedStep(
                        block, weights, gradients, mean, square, constants,
                        UInt32(truncatingIfNeeded: step.step))
                } else {
                    wholeStep(block, weights, gradients, mean, square, constants)
                }
            }
        }
    }
}

/// A step on values that are all kept in float32.
private func wholeStep(
    _ range: Range<Int>, _ weights: CPUBuffer, _ gradients: Stored<CPUBuffer>, _ mean: Stored<CPUBuffer>,
    _ square: Stored<CPUBuffer>, _ constants: ck_adamw
) {
    let start = range.lowerBound
    unsafe withUnsafePointer(to: constants) { constants in
        unsafe ck_adamw_step(
            weights.pointer + start, gradients.words.pointer + start, mean.words.pointer + start,
            square.words.pointer + start, range.count, constants)
    }
}

/// A step on one block: what is packed is unpacked, and the moments are packed again.
private func packedStep(
    _ range: Range<Int>, _ weights: CPUBuffer, _ gradients: Stored<CPUBuffer>, _ mean: Stored<CPUBuffer>,
    _ square: Stored<CPUBuffer>, _ constants: ck_adamw, _ step: UInt32
) {
    let (start, count) = (range.lowerBound, range.count)
    let first = UInt32(truncatingIfNeeded: mean.start + start)
    let (meanKey, squareKey) = (step &* 0x2545_F491, step &* 0x2545_F491 &+ 0x9E37_79B1)
    let size = Stored<CPUBuffer>.block
    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * size) { values in
        guard let base = values.baseAddress else { return }
        let g = unsafe gradients.unpacked(range, into: base)
        let (m, v) = unsafe (base + size, base + 2 * size)
        unsafe withUnsafePointer(to: constants) { constants in
            let w = unsafe weights.pointer + start
            switch mean.precision {
            case .f16: preconditionFailure("moments are not kept in float16")
            case .f32:
                unsafe ck_adamw_step(
                    w, g, mean.words.pointer + start, square.words.pointer + start, count, constants)
            case .bf16:
                let codes = unsafe (
                    mean.words.values(UInt16.self) + start, square.words.values(UInt16.self) + start
                )
                unsafe ck_bf16_to_f32(m, codes.0, count)
                unsafe ck_bf16_to_f32(v, codes.1, count)
                unsafe ck_adamw_step(w, g, m, v, count, constants)
                unsafe ck_pack_bf16(codes.0, m, count, first, meanKey)
                unsafe ck_pack_bf16(codes.1, v, count, first, squareKey)
            case .int8:
                let block = start / size
                let codes = unsafe (
                    mean.words.values(Int8.self) + start, square.words.values(UInt8.self) + start
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

/// 1 / (1 − beta^step), in double precision: in float32 the difference would keep few digits.
private func correction(_ beta: Float, _ step: Int) -> Float {
    Float(1 / (1 - pow(Double(beta), Double(step))))
}
