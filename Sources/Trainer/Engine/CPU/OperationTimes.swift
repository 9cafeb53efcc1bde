internal import Synchronization

/// Kinds of work that a step is made of.
public enum OperationKind: String, CaseIterable, Sendable {
    /// Products of matrices, by OpenBLAS.
    case matrixProduct = "matrix_product"
    /// Attention, its small products included.
    case attention
    /// Norms and the residual additions in them.
    case norm
    /// Rotary embedding.
    case rotary
    /// The feed-forward layer's activation.
    case activation
    /// Routing, and sorting, gathering and weighing the rows of experts.
    case experts
    /// Additions and factors outside of norms.
    case elementwise
    /// Rows of the embedding.
    case embedding
    /// Cross entropy.
    case loss
    /// The gradient norm and AdamW.
    case optimizer
}

/// How long each kind of work has taken, as the caller saw it.
final class OperationTimes: Sendable {
    private let nanoseconds = Mutex([Int64](repeating: 0, count: OperationKind.allCases.count))

    /// Adds the time that `body` takes.
    func measure(_ kind: OperationKind, _ body: () -> Void) {
        let start = ContinuousClock.now
        body()
        let taken = (ContinuousClock.now - start).components
        let index = OperationKind.allCases.firstIndex(of: kind) ?? 0
        nanoseconds.withLock {
            $0[index] += taken.seconds * 1_000_000_000 + taken.attoseconds / 1_000_000_000
        }
    }

    /// The seconds of each kind so far.
    var seconds: [OperationKind: Double] {
        let values = nanoseconds.withLock { $0 }
        return Dictionary(uniqueKeysWithValues: zip(OperationKind.allCases, values.map { Double($0) / 1e9 }))
    }
}
