import Models

@testable import Trainer

extension ReferenceEngine {
    func norm(
        _ y: ReferenceTensor, rstd: ReferenceTensor, mean: ReferenceTensor?, x: ReferenceTensor,
        addition: (sum: ReferenceTensor, delta: ReferenceTensor, factor: Float)?,
        scale: ReferenceTensor?, bias: ReferenceTensor?, shape: NormShape
    ) {
        let (R, G, C) = (shape.rows, shape.groups, shape.columns)
        if let (sum, delta, factor) = addition { add(sum, x, delta, factor: factor) }
        let normed = addition?.sum ?? x
        let values = normed.values
        var (factors, means) = (zeros(R * G), zeros(R * G))
        for r in 0..<R {
            for g in 0..<G {
                let start = r * shape.inputStride + g * C
                let group = values[start..<start + C]
                let m = shape.norm.kind == .layer ? group.reduce(0, +) / Double(C) : 0
                let variance = group.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(C)
                means[r * G + g] = m
                factors[r * G + g] = 1 / (variance + Double(shape.norm.epsilon)).squareRoot()
            }
        }
        rstd.values = factors
        mean?.values = means
        recomputeNorm(y, x: normed, rstd: rstd, mean: mean, scale: scale, bias: bias, shape: shape)
    }

    func recomputeNorm(
        _ y: ReferenceTensor, x: ReferenceTensor, rstd: ReferenceTensor, mean: ReferenceTensor?,
        scale: ReferenceTensor?, bias: ReferenceTensor?, shape: NormShape
    ) {
        let normed = normed(x, rstd, mean, shape)
        let (w, b) = (factors(scale, shape), bias?.values)
        var result = y.values
        forEachValue(of: shape) { value in
            result[value.output] = w[value.scale] * normed[value.index] + (b?[value.scale] ?? 0)
        }
        y.values = result
    }

    /// With g = w · dy: dx = rstd · (g − mean(g) − n · mean(g · n)), of which RMSNorm has no mean(g);
    /// dw = Σ dy · n and db = Σ dy.
    func normBackward(
        dx: ReferenceTensor, adds: Bool, dScale: ReferenceTensor?, dBias: ReferenceTensor?,
        dy: ReferenceTensor, x: ReferenceTensor, scale: ReferenceTensor?, rstd: ReferenceTensor,
        mean: ReferenceTensor?, shape: NormShape, accumulate: Bool
    ) {
        let (R, G, C) = (shape.rows, shape.groups, shape.columns)
        let (dy, rstd, w) = (dy.values, rstd.values, factors(scale, shape))
        let normed = normed(x, Tensor(rstd), mean, shape)
        var dw = accumulate ? dScale?.values ?? zeros(w.count) : zeros(w.count)
        var db = accumulate ? dBias?.values ?? zeros(w.count) : zeros(w.count)
        var (means, products) = (zeros(R * G), zeros(R * G))
        forEachValue(of: shape) { value in
            let g = w[value.scale] * dy[value.output]
            means[value.group] += g / Double(C)
            products[value.group] += g * normed[value.index] / Double(C)
            dw[value.scale] += dy[value.output] * normed[value.index]
            db[value.scale] += dy[value.output]
        }
        var result = dx.values
        forEachValue(of: shape) { value in
            let g = w[value.scale] * dy[value.output]
            let centered = shape.norm.kind == .layer ? g - means[value.group] : g
            let d = rstd[value.group] * (centered - normed[value.index] * products[value.group])
            result[value.output] = adds ? result[value.output] + d : d
        }
        dx.values = result
        dScale?.values = dw
        dBias?.values = db
    }

    /// (x − mean) · rstd, (R, G, C).
    private func normed(
        _ x: ReferenceTensor, _ rstd: ReferenceTensor, _ mean: ReferenceTensor?, _ shape: NormShape
    ) -> [Double] {
        let (x, rstd, mean) = (x.values, rstd.values, mean?.values)
        var result = zeros(shape.rows * shape.groups * shape.columns)
        forEachValue(of: shape) { value in
            let m = shape.norm.kind == .layer ? mean?[value.group] ?? .nan : 0
            result[value.index] = (x[value.input] - m) * rstd[value.group]
        }
        return result
    }

    /// What normalised values are multiplied by.
    private func factors(_ scale: ReferenceTensor?, _ shape: NormShape) -> [Double] {
        guard let scale else { return [Double](repeating: 1, count: shape.scaleCount) }
        return scale.values.map { shape.norm.addsOne ? 1 + $0 : $0 }
    }

    /// Calls `body` with where each value of a norm, and what belongs to it, lies.
    private func forEachValue(
        of shape: NormShape,
        _ body: ((index: Int, group: Int, input: Int, output: Int, scale: Int)) -> Void
    ) {
        for r in 0..<shape.rows {
            for g in 0..<shape.groups {
                for c in 0..<shape.columns {
                    let place = g * shape.columns + c
                    body(
                        (
                            index: (r * shape.groups + g) * shape.columns + c, group: r * shape.groups + g,
                            input: r * shape.inputStride + place, output: r * shape.outputStride + place,
                            scale: shape.hasOwnScales ? place : c
                        ))
                }
            }
        }
    }
}
