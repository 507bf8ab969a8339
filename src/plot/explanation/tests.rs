use super::*;
#[test]
fn throwaway() {
    let img = image::open("/work/shared/photos/horses.jpg").unwrap().into_rgb8();
    let photo = Rgb8::new(Size::new(img.width(), img.height()), img.into_raw());
    let map: Vec<f32> = (0..227*227).map(|i| { let (x,y)=((i%227) as f32/227.0,(i/227) as f32/227.0); (-((x-0.6).powi(2)+(y-0.55).powi(2))*9.0).exp()}).collect();
    let obj=|c:&str,p:f64,b:[f32;4]| Object{class:c.into(),confidence:p,area:b.into()};
    let objects=vec![obj("Human body",0.93,[10.,200.,300.,500.]),obj("Horse",0.91,[350.,180.,560.,420.]),obj("Animal",0.8,[340.,170.,570.,430.]),obj("Personal flotation device",0.7,[345.,190.,400.,240.]),obj("Tree",0.5,[0.,0.,773.,512.]),obj("Mountain",0.4,[0.,0.,773.,160.]),obj("Grass",0.3,[0.,300.,773.,512.]),obj("Sky",0.3,[0.,0.,773.,70.]),obj("Mammal",0.2,[342.,172.,566.,428.])];
    let zero=vec![0.0;227*227];
    for n in [1usize,2,3,7,11] {
    let methods=(0..n).map(|k| MethodMap{name:["grad-cam","ablation-cam","lime-cam","lrp-cam","lift-cam","layer-cam","xgrad-cam","hires-cam","score-cam","eigen-cam","grad-cam-plus-plus"][k].into(),note:"of the probability".into(),size:Size::new(227,227),map:if k==3{&zero}else{&map},flat:k==3,ranked:[2,1,8,3,(4+k)%9,5].iter().enumerate().map(|(i,&o)|Ranked{object:o,score:0.9-0.17*i as f64-0.02*k as f64,counts:0.9-0.17*i as f64-0.02*k as f64>0.3}).collect()}).collect();
    let e=Explanation{title:"horses & <riders>.jpg".into(),photo:&photo,answers:(0..20).map(|i|Answer{label:format!("Emotion {i}"),probability:[0.4,0.2,0.1,0.05,0.04,0.03][i.min(5)]}).collect(),predicted:0,explained:9,dimensions:vec![Dimension{name:"valence".into(),value:3.1,lower:(2.52,"Disgust".into()),upper:(3.9,"Adoration".into())}],objects:objects.clone(),methods,boxes:5,colours:if n==3 {Colours::Uniform} else {Colours::Both},notes:vec!["A note.".into()]};
    std::fs::write(format!("/tmp/fig/m{n}.png"),e.svg().unwrap().png(PHOTO_SCALE).unwrap()).unwrap();
    }
}
