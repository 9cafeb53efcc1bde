private import Glibc

/// Which of a model's tensors are trained, by patterns over their names in the checkpoint.
///
/// A pattern is a shell's: `*` stands for any characters, `?` for one, `[0-7]` for one of a range.
public struct TensorSelection: Codable, Sendable, Equatable {
    /// What is trained; everything when there is no pattern.
    public var train: [String]
    /// What is frozen of it.
    public var freeze: [String]

    /// The tensors that `train` names, everything when it is empty, but for those that `freeze` names.
    public init(train: [String] = [], freeze: [String] = []) {
        self.train = train
        self.freeze = freeze
    }

    /// Every tensor.
    public static let all = TensorSelection()
    /// No tensor.
    public static let none = TensorSelection(freeze: ["*"])

    /// Whether the tensor of that name is trained.
    public func contains(_ name: String) -> Bool {
        (train.isEmpty || train.contains { Self.matches($0, name) })
            && !freeze.contains { Self.matches($0, name) }
    }

    /// The patterns that none of the names is like.
    func unmatched(by names: [String]) -> [String] {
        (train + freeze).filter { pattern in !names.contains { Self.matches(pattern, $0) } }
    }

    /// Whether a pattern is like a name.
    static func matches(_ pattern: String, _ name: String) -> Bool {
        unsafe fnmatch(pattern, name, 0) == 0
    }
}
