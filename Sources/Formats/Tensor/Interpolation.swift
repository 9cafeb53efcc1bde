internal import CKernels
internal import Glibc
internal import Synchronization

/// Spherical interpolation: Shoemake, Animating Rotation with Quaternion Curves (1985), of tensors as vectors.
extension TensorTree {
    /// The point of the arc from this tensor to another, taken as vectors, computed in float32 and rounded once.
    ///
    /// Vectors that have nearly one direction, or opposite ones, are interpolated along the line between them: where the
    /// cosine's magnitude is above 0.9995, as everywhere where models are merged so.
    ///
    /// - Parameters:
    ///   - other: where the arc ends; of the same shape.
    ///   - part: how much of the way the point is from here, 0 for this tensor.
    ///   - type: the type of the result: F16, BF16, F32 or F64.
    /// - Returns: the point.
    /// - Throws: ``UserFacingError`` when the tensors can't be added.
    public func interpolated(
        to other: TensorTree, at part: Float, as type: ElementType
    ) throws(UserFacingError) -> TensorTree {
        guard part.isFinite else { throw .noWeight(part) }
        try Self.checkAlike([self, other], as: type)
        return try .computed(.interpolated(part, type), of: [self, other], type: type, shape: shape)
    }
}

extension TensorExpression {
    /// The weights of two tensors in the point of the arc between them; they are read once for it.
    func arcWeights(
        _ first: TensorExpression, _ second: TensorExpression, at part: Float, _ onWork: WorkObserver
    ) throws(UserFacingError) -> [Float] {
        if let known = cache?.arc.withLock({ $0 }) { return known }
        var (dot, own, others) = (0.0, 0.0, 0.0)
        let tiles = Self.tiles(0..<elementCount)
        for start in stride(from: 0, to: tiles.count, by: 64) {
            let wave = Array(tiles[start..<min(start + 64, tiles.count)])
            let sums = try mapConcurrently(wave.count, threads: wave.count) {
                (index) throws(UserFacingError) in
                let a = try first.numbers(wave[index])
                let b = try second.numbers(wave[index])
                return unsafe [ck_dot(a, b, a.count), ck_dot(a, a, a.count), ck_dot(b, b, b.count)]
            }
            for sum in sums {
                dot += sum[0]
                own += sum[1]
                others += sum[2]
            }
            try onWork((first.byteCount + second.byteCount) / tiles.count * wave.count)
        }
        let weights = Self.arcWeights(dot: dot, own, others, part: Double(part))
        cache?.arc.withLock { $0 = weights }
        return weights
    }

    /// The weights that follow from two vectors' product and their squares.
    static func arcWeights(dot: Double, _ first: Double, _ second: Double, part: Double) -> [Float] {
        func norm(_ square: Double) -> Double { square.squareRoot() > 1e-8 ? square.squareRoot() : 1 }
        let cosine = min(1, max(-1, dot / (norm(first) * norm(second))))
        if abs(cosine) > 0.9995 { return [Float(1 - part), Float(part)] }
        let angle = acos(cosine)
        return [Float(sin((1 - part) * angle) / sin(angle)), Float(sin(part * angle) / sin(angle))]
    }
}
