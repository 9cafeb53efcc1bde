/// What one model calls the tensors of its family.
public struct TensorNaming: Sendable {
    /// The family.
    public let family: Family
    /// What stands before the names outside the head.
    public let prefix: String
    private let names: Set<String>

    /// The naming of a model with tensors of these names; the family's first where there are none.
    public init(_ family: Family, names: some Sequence<String>) {
        self.family = family
        self.names = Set(names)
        let embedding = family.rows(.embedding).first.map { $0.name + $0.weight } ?? ""
        // Of a tied pair a file may have the head alone; then the layers tell.
        prefix =
            family.prefixes.first { [names = self.names] in names.contains($0 + embedding) }
            ?? family.prefixes.first { [names = self.names] prefix in
                names.contains { $0.hasPrefix(prefix + family.layers) }
            } ?? family.prefixes.first ?? ""
    }

    /// The row of a module, of several the one whose weights the model has; nil when the family has none.
    ///
    /// `layer` is which layer it is in, if it is in one.
    public func row(_ module: Module, layer: Int? = nil) -> TensorRow? {
        let rows = family.rows(module)
        return rows.first { has($0, layer: layer) } ?? rows.first
    }

    /// Whether the model has the weights of a row.
    public func has(_ row: TensorRow, layer: Int? = nil) -> Bool {
        names.contains(name(row, row.weight, layer: layer))
    }

    /// The name of a module's weights, or of its bias.
    ///
    /// `ending` is ``TensorRow/weight`` or ``TensorRow/bias`` of the row, `number` which expert or head it is.
    public func name(_ row: TensorRow, _ ending: String, layer: Int? = nil, number: Int = 0) -> String {
        let name =
            row.name.split(separator: "*", omittingEmptySubsequences: false)
            .joined(separator: String(number)) + ending
        guard let layer else {
            guard row.module == .head else { return prefix + name }
            // Inside a model of more than text the head may stand beside the text model, or in it.
            let inner = "language_model." + name
            return prefix.hasPrefix("language_model.") && (names.isEmpty || names.contains(inner))
                ? inner : name
        }
        return "\(prefix)\(family.layers)\(layer).\(name)"
    }

    /// The name of the weights of a module outside the layers; empty where the family has no such module.
    public func weightName(of module: Module) -> String {
        row(module).map { name($0, $0.weight) } ?? ""
    }

    /// Whether a tensor of that name holds nothing to train.
    public func isDerived(_ name: String) -> Bool { family.derivedTensors.contains(where: name.hasSuffix) }
}
