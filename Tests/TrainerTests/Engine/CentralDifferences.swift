import Testing

/// Expects that `gradient` is that of `loss` at `x`, by central differences in double precision.
func expectGradient(
    _ gradient: [Double], at x: [Double], within tolerance: Double = 1e-7,
    sourceLocation: SourceLocation = #_sourceLocation, of loss: ([Double]) -> Double
) {
    let step = 1e-5
    let expected = x.indices.map { index in
        var moved = x
        moved[index] = x[index] + step
        let above = loss(moved)
        moved[index] = x[index] - step
        return (above - loss(moved)) / (2 * step)
    }
    let scale = expected.reduce(0) { max($0, abs($1)) }
    #expect(scale > 0 && gradient.count == expected.count, sourceLocation: sourceLocation)
    for (index, (found, expected)) in zip(gradient, expected).enumerated() {
        #expect(abs(found - expected) <= tolerance * scale, "at \(index)", sourceLocation: sourceLocation)
    }
}

/// The sum of the products: a loss whose gradient with respect to `y` is `dy`.
func dot(_ y: [Double], _ dy: [Double]) -> Double { zip(y, dy).reduce(0) { $0 + $1.0 * $1.1 } }
