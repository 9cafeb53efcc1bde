public import OrderedCollections

/// A model that a result was made of, at once or by way of others, and what of it is in the result.
public struct Ancestor: Sendable {
    /// The weights files of that model that something in the result was made of, as a manifest lists them.
    public let files: [Manifest.Source]
    /// What was done to that model since, in order.
    public let operations: [Manifest.Operation]
    /// What each tensor of the result was made of, in terms of ``files``; what is not that model's is `computed`.
    public let provenance: OrderedDictionary<String, Provenance>
}

extension Checkpoint {
    /// The models that this one was made of, the last one first; none where nothing was done to it.
    ///
    /// What was done to it since it was opened counts as what its manifest tells of.
    ///
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be, or a file can't be read.
    package func ancestors() throws(UserFacingError) -> [Ancestor] {
        if operations.isEmpty { return try manifest?.ancestors() ?? [] }
        return try WritePlan.manifest(of: self, output: path, tool: "", files: []).0?.ancestors() ?? []
    }
}

extension Manifest {
    /// The models that a result was made of, the last one first.
    ///
    /// Each result keeps its source's own manifest, so the line goes on to the first model, whether or not those between
    /// are still there. What was trained is followed to what it began with.
    ///
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be.
    public func ancestors() throws(UserFacingError) -> [Ancestor] {
        var generation = self
        var line: [Ancestor] = []
        var operations: [Operation] = []
        var known = provenance.mapValues { $0.described(by: self, own: ownSources) }
        while true {
            operations = generation.operations + operations
            line.append(generation.ancestor(known, operations))
            guard let earlier = try generation.sourceManifest() else { return line }
            known = known.mapValues { $0.followed(by: earlier) }
            generation = earlier
        }
    }

    /// The places of the sources that are the files of the model that the operations were given.
    var ownSources: Set<Int> {
        guard let original else { return Set(sources.indices) }
        return Set(original.weights.compactMap(\.source))
    }

    /// The manifest of the model that the operations were given; nil when it had none.
    func sourceManifest() throws(UserFacingError) -> Manifest? {
        guard let file = original?.files.first(where: { $0.name == Self.fileName }) else { return nil }
        guard let bytes = file.content(from: nil) else { throw .brokenManifest }
        let name = "the source's \(Self.fileName)"
        return try Manifest(JSON(parsing: bytes, file: name, duplicates: .refused), file: name)
    }

    /// The model that the operations were given, with the files counted that something was made of.
    private func ancestor(
        _ known: OrderedDictionary<String, Provenance>, _ operations: [Operation]
    ) -> Ancestor {
        var used: Set<Int> = []
        for tree in known.values { tree.forEachCopy { file, _ in used.insert(file) } }
        let order = used.filter { sources.indices.contains($0) }.sorted()
        let places = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
        return Ancestor(
            files: order.map { sources[$0] }, operations: operations,
            provenance: known.mapValues { tree in
                tree.replacingCopies { leaf, file, tensor, offset in
                    guard let place = places[file] else { return nil }
                    return try? Provenance.copied(
                        file: place, tensor: tensor, offset: offset, type: leaf.type, shape: leaf.shape)
                }
            })
    }
}

extension Provenance {
    /// The same, where what another model gave, or a file that is not listed, is traced no further.
    fileprivate func described(by manifest: Manifest, own: Set<Int>) -> Provenance {
        replacingCopies { leaf, file, _, _ in
            own.contains(file) && manifest.sources.indices.contains(file) ? leaf : nil
        }
    }

    /// The same in terms of what the tensors were made of that this is in terms of.
    fileprivate func followed(by manifest: Manifest) -> Provenance {
        let own = manifest.ownSources
        return replacingCopies { leaf, _, tensor, _ in
            guard let earlier = manifest.provenance[tensor], earlier.type == leaf.type,
                earlier.shape == leaf.shape
            else { return nil }
            return earlier.described(by: manifest, own: own)
        }
    }

    /// The same with something else for each tensor of a source, also for those that a computation began with.
    ///
    /// - Parameter replacement: given a leaf that is a tensor of a source, its file, its name and its offset. Gives a tree of
    ///   the same type and shape, or nil where nothing more is known of it.
    /// - Returns: the tree with these in place.
    fileprivate func replacingCopies(
        _ replacement: (Provenance, _ file: Int, _ tensor: String, _ offset: Int) -> Provenance?
    ) -> Provenance {
        let new = replacingLeaves { leaf, tree -> Provenance? in
            switch leaf {
            case .copied(let file, let tensor, let offset):
                return replacement(tree, file, tensor, offset)
                    ?? (try? .computed(tensor, type: tree.type, shape: tree.shape))
            case .computed(let name, let beginning):
                return try? .computed(
                    name, type: tree.type, shape: tree.shape, from: beginning?.replacingCopies(replacement))
            }
        }
        return new ?? self
    }

    /// Tells the file and the name of each tensor of a source, also of those that a computation began with.
    package func forEachCopy(_ visit: (_ file: Int, _ tensor: String) -> Void) {
        forEachLeaf { leaf in
            switch leaf {
            case .copied(let file, let tensor, _): visit(file, tensor)
            case .computed(_, let beginning): beginning?.forEachCopy(visit)
            }
        }
    }
}

extension Provenance {
    /// What other numbers become on the way that these went: moved, joined, gathered and scaled alike, in float32.
    ///
    /// Zeros stand where rows were zeroed or made of others; a sum is followed to the tensor that others were added to, a
    /// mean to all of its parts, and what was trained to what it began with. Nothing is known of points on an arc.
    ///
    /// - Parameter replacement: the numbers that go the way of a tensor of a source, of its shape; nil where there are none.
    /// - Returns: what they become; nil where nothing of them is left.
    /// - Throws: what `replacement` throws, and ``UserFacingError`` when numbers have no fraction.
    package func followed(
        by replacement: (_ file: Int, _ tensor: String) throws(UserFacingError) -> TensorExpression?
    ) throws(UserFacingError) -> TensorExpression? {
        try fold { (leaf, tree) throws(UserFacingError) -> TensorExpression? in
            switch leaf {
            case .copied(let file, let tensor, _): return try replacement(file, tensor)?.cast(to: .f32)
            case .computed(_, let beginning): return try beginning?.followed(by: replacement)
            }
        } made: { (operation, operands, tree) throws(UserFacingError) -> TensorExpression? in
            guard let first = operands.first, operands.contains(where: { $0 != nil }) else { return nil }
            switch operation {
            case .zeros, .dequantized, .interpolated: return nil
            case .derived(.gathered), .rows, .transposed, .reshaped, .scaled:
                guard let first else { return nil }
                return try .made(operation, of: [first])
            case .derived: return nil
            case .cast, .added: return first
            case .weighted(let weights, _):
                // What others were added to, or the mean of what the parts of a mean become.
                if weights[0] == 1 { return first }
                let known = zip(operands, weights).compactMap { operand, weight in
                    operand.map { (tensor: $0, weight: weight) }
                }
                return try .weighted(known.map(\.tensor), by: known.map(\.weight), as: .f32)
            case .noised(let rule): return try first?.scaled(by: 1 - rule.share)
            case .joined:
                guard case .made(_, let parts) = tree.node else { return nil }
                var all: [TensorExpression] = []
                for (part, moved) in zip(parts, operands) {
                    let nothing = try TensorExpression.zeros(.f32, shape: part.shape)
                    all.append(moved ?? nothing)
                }
                return try .joined(all)
            }
        }
    }

    /// Tells which rows of a source's tensors some rows are made of.
    ///
    /// - Parameters:
    ///   - rows: the rows of this tensor.
    ///   - visit: told of a file, the name of a tensor in it, and rows of that.
    package func forEachSource(
        of rows: Range<Int>, _ visit: (_ file: Int, _ tensor: String, _ rows: Range<Int>) -> Void
    ) {
        if rows.isEmpty { return }
        switch node {
        case .leaf(.copied(let file, let tensor, _)): visit(file, tensor, rows)
        case .leaf(.computed(_, let beginning)): beginning?.forEachSource(of: rows, visit)
        case .made(let operation, let operands):
            switch operation {
            case .zeros, .dequantized, .interpolated: break
            case .weighted(let weights, _) where weights[0] != 1:
                for operand in operands { operand.forEachSource(of: rows, visit) }
            case .cast, .scaled, .noised, .weighted, .added: operands[0].forEachSource(of: rows, visit)
            case .rows(let range):
                operands[0].forEachSource(
                    of: rows.lowerBound + range.lowerBound..<rows.upperBound + range.lowerBound, visit)
            case .transposed, .reshaped:
                operands[0].forEachSource(of: 0..<(operands[0].shape.first ?? 1), visit)
            case .derived(.gathered(let list)):
                for row in list[rows] { operands[0].forEachSource(of: Int(row)..<Int(row) + 1, visit) }
            case .derived: break
            case .joined:
                var start = 0
                for operand in operands {
                    let end = start + (operand.shape.first ?? 1)
                    let part = rows.clamped(to: start..<end)
                    operand.forEachSource(of: part.lowerBound - start..<part.upperBound - start, visit)
                    start = end
                }
            }
        }
    }
}

extension UserFacingError {
    fileprivate static var brokenManifest: Self {
        Self(
            .malformed,
            "\(Manifest.fileName) keeps the source's \(Manifest.fileName) in a form that can't be unpacked; it was edited"
        )
    }
}
