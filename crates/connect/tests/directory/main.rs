//! Reading the directory from a small Graph that obeys its documentation, or breaks it on purpose.

mod cost;
mod graph;
mod hostile;
mod signin;
