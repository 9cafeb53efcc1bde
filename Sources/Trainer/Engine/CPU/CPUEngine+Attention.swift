internal import CKernels
internal import Models

extension CPUEngine {
    /// See ``Engine/applyRoPE(_:cosine:sine:rotary:shape:inverse:)``.
    public func applyRoPE(
        _ qkv: Tensor<CPUBuffer>, cosine: Tensor<CPUBuffer>, sine: Tensor<CPUBuffer>, rotary: RotaryShape,
        shape: AttentionShape, inverse: Bool
    ) {
        let pairs = rotary.size / 2
        precondition(rotary.size <= shape.headSize && qkv.count == shape.rows * shape.qkvWidth)
        // Heads that follow each other: all queries and keys, or those of one key-value head.
        let heads = shape.heads + shape.keyValueHeads
        let runs = shape.arrangement == .stacked ? 1 : shape.keyValueHeads
        pool.forEachPiece(.rotary, of: shape.rows, cost: heads * rotary.size) { rows in
            for row in rows {
                let angles = row % shape.sequenceLength * pairs
                for run in 0..<runs {
                    let first = row * shape.qkvWidth + shape.query(run * shape.groupSize)
                    unsafe ck_rotate(
                        qkv.floats + first, cosine.floats + angles, sine.floats + angles, heads / runs,
                        shape.headSize, pairs, inverse ? -1 : 1, rotary.isInterleaved ? 1 : 0)
                }
            }
        }
    }

    /// See ``Engine/attention(_:logSumExp:qkv:first:bias:sinks:shape:)``.
    public func attention(
        _ out: Tensor<CPUBuffer>, logSumExp: Tensor<CPUBuffer>, qkv: Tensor<CPUBuffer>,
        first: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?, sinks: Tensor<CPUBuffer>?, shape: AttentionShape
    ) {
        shape.check(qkv: qkv, out: out, first: first, bias: bias, sinks: sinks)
        let tile = Int(CK_ATTENTION_TILE)
        let time = shape.sequenceLength
        let tiles = (time + tile - 1) / tile
        let size = threadScratch(shape)
        let scratch = scratch(count: size * threads)
        pool.run(.attention, shape.batch * shape.heads * tiles) { task, thread in
            let (sequence, rest) = (task / (shape.heads * tiles), task % (shape.heads * tiles))
            let (head, start) = (rest / tiles, rest % tiles * tile)
            let row = sequence * time
            var kernel = ck_attention(shape)
            unsafe ck_attention_forward(
                out.floats + row * shape.outputWidth, logSumExp.floats + row * shape.heads,
                qkv.floats + row * shape.qkvWidth, first.integers + row,
                bias.map { unsafe UnsafePointer($0.floats) }, sinks.map { unsafe UnsafePointer($0.floats) },
                &kernel, head, start, min(start + tile, time), scratch.pointer + thread * size)
        }
    }

    /// See ``Engine/attentionBackward(dqkv:dSinks:dOut:qkv:out:logSumExp:first:bias:sinks:shape:accumulate:)``.
    public func attentionBackward(
        dqkv: Tensor<CPUBuffer>, dSinks: Tensor<CPUBuffer>?, dOut: Tensor<CPUBuffer>, qkv: Tensor<CPUBuffer>,
        out: Tensor<CPUBuffer>, logSumExp: Tensor<CPUBuffer>, first: Tensor<CPUBuffer>,
        bias: Tensor<CPUBuffer>?, sinks: Tensor<CPUBuffer>?, shape: AttentionShape, accumulate: Bool
    ) {
        shape.check(qkv: qkv, out: out, first: first, bias: bias, sinks: sinks)
        precondition(dSinks == nil || sinks != nil, "no sinks, no gradient of theirs")
        let size = threadScratch(shape)
        let scratch = scratch(count: attentionScratch(shape))
        // Each sequence has its own share of dSinks; the shares are then added in order.
        let shares = scratch[size * threads..<scratch.count]
        pool.run(.attention, shape.batch * shape.keyValueHeads) { task, thread in
            let (sequence, head) = (task / shape.keyValueHeads, task % shape.keyValueHeads)
            let row = sequence * shape.sequenceLength
            var kernel = ck_attention(shape)
            unsafe ck_attention_backward(
                dqkv.floats + row * shape.qkvWidth,
                dSinks == nil ? nil : shares.pointer + sequence * shape.heads,
                dOut.floats + row * shape.outputWidth, qkv.floats + row * shape.qkvWidth,
                out.floats + row * shape.outputWidth, logSumExp.floats + row * shape.heads,
                first.integers + row, bias.map { unsafe UnsafePointer($0.floats) },
                sinks.map { unsafe UnsafePointer($0.floats) }, &kernel, head, scratch.pointer + thread * size)
        }
        guard let dSinks else { return }
        unsafe ck_sum_rows(
            dSinks.floats, shares.pointer, shape.batch, shape.heads, shape.heads, accumulate ? 1 : 0)
    }

    /// See ``Engine/keepKeysAndValues(_:qkv:places:shape:)``.
    public func keepKeysAndValues(
        _ kept: Tensor<CPUBuffer>, qkv: Tensor<CPUBuffer>, places: Tensor<CPUBuffer>, shape: AttentionShape
    ) {
        let (rows, D) = (places.count, shape.headSize)
        precondition(qkv.count == rows * shape.qkvWidth && kept.count == shape.keptCount)
        pool.forEachPiece(.attention, of: rows, cost: 2 * shape.keyValueHeads * D) { rows in
            for row in rows {
                let place = unsafe Int(places.integers[row])
                for head in 0..<shape.keyValueHeads {
                    let key = shape.kept(head, at: place)
                    let from = unsafe qkv.floats + row * shape.qkvWidth
                    unsafe (kept.floats + key).update(from: from + shape.key(head), count: D)
                    unsafe (kept.floats + kept.count / 2 + key).update(
                        from: from + shape.value(head), count: D)
                }
            }
        }
    }

    /// See ``Engine/attentionOverKept(_:qkv:kept:places:first:bias:sinks:shape:)``.
    public func attentionOverKept(
        _ out: Tensor<CPUBuffer>, qkv: Tensor<CPUBuffer>, kept: Tensor<CPUBuffer>, places: Tensor<CPUBuffer>,
        first: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?, sinks: Tensor<CPUBuffer>?, shape: AttentionShape
    ) {
        let (rows, time, heads) = (places.count, shape.sequenceLength, shape.heads)
        precondition(qkv.count == rows * shape.qkvWidth && out.count == rows * shape.outputWidth)
        precondition(kept.count == shape.keptCount && first.count == rows)
        precondition(bias.map { $0.count == heads * time } ?? true)
        precondition(sinks.map { $0.count == heads } ?? true)
        let scratch = scratch(count: threads * time)
        pool.run(.attention, rows * heads) { task, thread in
            let (row, head) = (task / heads, task % heads)
            let (place, start) = unsafe (Int(places.integers[row]), Int(first.integers[row]))
            let keys = shape.kept(head / shape.groupSize, at: place - place % time + start)
            var kernel = ck_attention(shape)
            unsafe ck_attend(
                out.floats + row * shape.outputWidth + head * shape.headSize,
                qkv.floats + row * shape.qkvWidth + shape.query(head), kept.floats + keys,
                kept.floats + kept.count / 2 + keys,
                bias.map { unsafe UnsafePointer($0.floats + head * time) },
                sinks.map { unsafe UnsafePointer($0.floats + head) }, &kernel, place % time - start + 1,
                scratch.pointer + thread * time)
        }
    }

    /// Values that one thread's share of attention scribbles on.
    private func threadScratch(_ shape: AttentionShape) -> Int {
        var kernel = ck_attention(shape)
        return unsafe ck_attention_scratch(&kernel)
    }

    /// Values that attention needs beside its arguments.
    func attentionScratch(_ shape: AttentionShape) -> Int {
        threads * threadScratch(shape) + shape.batch * shape.heads
    }
}

extension AttentionShape {
    fileprivate func check(
        qkv: Tensor<CPUBuffer>, out: Tensor<CPUBuffer>, first: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?,
        sinks: Tensor<CPUBuffer>?
    ) {
        precondition(
            qkv.count == rows * qkvWidth && out.count == rows * outputWidth && first.count == rows)
        precondition(bias.map { $0.count == heads * sequenceLength } ?? true)
        precondition(sinks.map { $0.count == heads } ?? true)
    }
}

extension ck_attention {
    /// The kernels' view of `shape`.
    init(_ shape: AttentionShape) {
        let isStacked = shape.arrangement == .stacked
        let group = (shape.groupSize + (isStacked ? 0 : 2)) * shape.headSize
        self.init(
            time: shape.sequenceLength, heads: shape.heads, kv_heads: shape.keyValueHeads,
            size: shape.headSize, stride: shape.qkvWidth, query_group: group, key: shape.key(0),
            value: shape.value(0), key_group: isStacked ? shape.headSize : group, scale: shape.scale,
            soft_cap: shape.softCap ?? 0)
    }
}
