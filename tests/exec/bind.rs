//! Run-time symbols: what inputs say of them, what only data decide, and what does not fit.
use crate::reference::{floats, read};
use tpc::exec::Cpu;
use tpc::prune::{RunError, Runner};
use tpc::tensor::Tensor;

fn run(text: &str, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let (module, facts) = read(text);
    let run = Cpu.run(&module, &facts, inputs);
    run.map_err(|e| match e {
        RunError::Input(message) => message,
        other => format!("not of the inputs: {other}"),
    })
}

const TEXT: &str =
    "dim N = ?, T = ?\ninput %x : f32[N, T, 4]\ninput %y : f32[T + 1]\n%z = relu(%x)\noutput %z";

#[test]
fn symbols_are_what_the_inputs_say() {
    for (n, t) in [(1, 3), (3, 1), (2, 37)] {
        let x = floats(&[n, t, 4], 1);
        let made = run(TEXT, &[x, floats(&[t + 1], 2)]).unwrap();
        assert_eq!(made[0].shape, [n, t, 4]);
    }
    // A symbol that stands alone only behind the sum that uses it.
    let text = "dim T = ?\ninput %y : f32[T + 1]\ninput %x : f32[T]\n%z = relu(%x)\noutput %z";
    assert!(run(text, &[floats(&[4], 1), floats(&[3], 1)]).is_ok());
    assert!(run(text, &[floats(&[3], 1), floats(&[3], 1)]).is_err());
    let text = "dim N = ?\nparam @w : f32[6, 4]\ninput %x : f32[N, 2, 2]\n%f = reshape(%x) : f32[N, 4]\n\
                %y = linear(%f, @w) {trans_b = true}\n%z = reshape(%y) : f32[3 * N, 2]\noutput %z";
    assert_eq!(
        run(text, &[floats(&[5, 2, 2], 1)]).unwrap()[0].shape,
        [15, 2]
    );
}

#[test]
fn inputs_that_do_not_fit() {
    let says = |inputs: &[Tensor]| run(TEXT, inputs).unwrap_err();
    let (x, y) = (floats(&[2, 3, 4], 1), floats(&[4], 1));
    let wrong = [
        says(std::slice::from_ref(&x)),
        says(&[x.clone(), floats(&[5], 1)]),
        says(&[floats(&[2, 3, 5], 1), y.clone()]),
        says(&[floats(&[2, 3], 1), y.clone()]),
        says(&[x, Tensor::from_i64(&[4], vec![0; 4]).unwrap()]),
    ];
    let text =
        "dim N = ?, M = ?\ninput %x : f32[N]\ninput %y : f32[M]\n%z = add(%x, %y)\noutput %z";
    let assumed = run(text, &[floats(&[3], 1), floats(&[4], 1)]).unwrap_err();
    insta::with_settings!({snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("exec__inputs", format!("{}\n{assumed}\n", wrong.join("\n")));
    });
    assert!(run(text, &[floats(&[3], 1), floats(&[3], 1)]).is_ok());
}

#[test]
fn extents_that_only_data_decide() {
    let text = "dim K = ?\ninput %x : f32[5]\n%i = non_zero(%x) : i64[1, K]\n%y = cast(%i) {to = f32}\n%z = add(%y, %y)\n%r = relu(%x)\noutput %z\noutput %r";
    let x = Tensor::from_f32(&[5], vec![0.0, 1.0, -3.0, 0.0, 2.0]).unwrap();
    let made = run(text, &[x]).unwrap();
    assert_eq!(made[0].shape, [1, 3]);
    assert_eq!(made[0].to_f64(), [2.0, 4.0, 8.0]);
    assert_eq!(made[1].shape, [5]);
}
